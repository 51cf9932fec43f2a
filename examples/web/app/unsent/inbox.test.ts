import { expect, test } from "vitest";
import { change, headline, readInbox, shownUpto, type Sender } from "./inbox.ts";

const sender = (fromuser: string, count: number, last: number): Sender => ({
  fromuser, count, firstAt: 1, lastAt: last, lastOffset: last, preview: "…",
});
const inbox = (...senders: Sender[]) => ({
  touser: "bob", senders, source: "aux", staleMs: undefined,
});

test("a change says how it is, and coming twice changes nothing", () => {
  const once = change(inbox(sender("ann", 1, 5)), "bob", sender("ann", 2, 9));
  expect(change(once, "bob", sender("ann", 2, 9))).toEqual(once);
  expect(once.senders).toEqual([sender("ann", 2, 9)]);
});

test("an older change does not undo a newer one", () => {
  const now = inbox(sender("ann", 3, 9));
  expect(change(now, "bob", sender("ann", 2, 5))).toBe(now);
});

test("who was read is gone, and others' changes are others'", () => {
  const now = inbox(sender("ann", 3, 9), sender("eve", 1, 2));
  expect(change(now, "bob", sender("ann", 0, -1)).senders).toEqual([sender("eve", 1, 2)]);
  expect(change(now, "zoe", sender("ann", 4, 10))).toBe(now);
});

test("the latest stands first", () => {
  const now = change(inbox(sender("ann", 1, 5)), "bob", sender("eve", 1, 7));
  expect(now.senders.map((each) => each.fromuser)).toEqual(["eve", "ann"]);
});

test("one person, three people, nobody", () => {
  expect(headline([])).toBe("Nobody wrote while you were away.");
  expect(headline([sender("a", 1, 1)])).toBe("While you were away: 1 person wrote to you");
  const three = ["a", "b", "c"].map((name) => sender(name, 1, 1));
  expect(headline(three)).toBe("While you were away: 3 people wrote to you");
});

test("the answer is read as the service writes it", () => {
  const read = readInbox({
    touser: "bob", total: 2, source: "master", stale_ms: null,
    senders: [{ fromuser: "ann", count: 2, first_at: 1, last_at: 3, last_offset: 7, preview: "hi" }],
  });
  expect(read.senders[0]).toEqual({ ...sender("ann", 2, 3), lastOffset: 7, preview: "hi" });
  expect(read.staleMs).toBeUndefined();
});

test("a card shows up to the last message that it counts or, when it is open, has", () => {
  const at = (offset: number) => ({ id: `${offset}`, offset, at: 1, text: "…" });
  expect(shownUpto(sender("ann", 2, 7), undefined)).toBe(7);
  expect(shownUpto(sender("ann", 3, 9), [at(5), at(7)])).toBe(7);
  expect(shownUpto(sender("ann", 2, 7), [at(7), at(9)])).toBe(7);
  expect(shownUpto(sender("ann", 2, 7), [])).toBe(7);
});
