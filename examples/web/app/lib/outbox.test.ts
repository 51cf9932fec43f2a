import { expect, test } from "vitest";
import { createOutbox } from "./outbox.ts";

const read = ({ text }: Record<string, unknown>) => (typeof text === "string" ? { text } : undefined);

test("what another version has left, or cannot be read, is no message and no error", () => {
  const having = (found: () => string | null) =>
    createOutbox({ getItem: found, setItem() {}, removeItem() {} }, "ann", read).load();
  expect(having(() => '[{"text":"hi"},{"words":"hi"},null,7]')).toEqual([{ text: "hi" }]);
  for (const nonsense of ["{}", "[", "null"]) expect(having(() => nonsense)).toEqual([]);
  expect(having(() => null)).toEqual([]);
  expect(
    having(() => {
      throw new Error("closed to this page");
    }),
  ).toEqual([]);
});

test("a store that is full keeps nobody from writing", () => {
  const full = () => {
    throw new Error("full");
  };
  const outbox = createOutbox({ getItem: () => null, setItem: full, removeItem() {} }, "ann", read);
  outbox.save([{ text: "hi" }]);
});
