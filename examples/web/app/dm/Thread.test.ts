import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import * as dm from "./direct.ts";
import type { Messenger } from "./dm.ts";
import { Thread } from "./Thread.tsx";

test("a thread reads out what comes, in a region that is there before", () => {
  const region = (direct: dm.Direct) => {
    const props = { messenger: {} as Messenger, direct, who: "bob" };
    const page = renderToStaticMarkup(createElement(Thread, props));
    return /aria-live="polite">(.*?)<\/p>/.exec(page)?.[1]?.replaceAll(/<[^>]*>/g, "");
  };
  const message: dm.Message = {
    id: "m1", clientId: undefined, from: "bob", to: "ann", text: "hi", at: 1, status: "SENT",
    sentAt: undefined, deliveredAt: undefined,
  };
  const begun = dm.newDirect("ann");
  expect(region(begun)).toBe("");
  expect(region(dm.take(begun, [message], true))).toBe("bob: hi");
});
