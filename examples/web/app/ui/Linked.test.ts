import { expect, test } from "vitest";
import { linkParts } from "./Linked.tsx";

const links = (text: string) => linkParts(text).filter((part) => part.link).map((part) => part.text);

test("only http and https become links", () => {
  expect(links("see https://a.example/x?y=1, and http://b.example.")).toEqual([
    "https://a.example/x?y=1",
    "http://b.example",
  ]);
  expect(links("javascript:alert(1) data:text/html,x file:///etc ftp://x.example")).toEqual([]);
});

test("nothing of the text is lost", () => {
  for (const text of ["", "plain", "<b>https://a.example</b>", "(https://a.example/)", "https://"]) {
    expect(linkParts(text).map((part) => part.text).join("")).toBe(text);
  }
});
