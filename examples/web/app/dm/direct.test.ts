import { expect, test } from "vitest";
import * as dm from "./direct.ts";

const message = (id: string, more: Partial<dm.Message> = {}): dm.Message => ({
  id, clientId: undefined, from: "bob", to: "ann", text: id, at: 1, status: "SENT",
  sentAt: undefined, deliveredAt: undefined, ...more,
});
const ids = (state: dm.Direct) => dm.threadOf(state, "bob").map((each) => each.id);
const own = (state: dm.Direct) => dm.threadOf(state, "bob").at(-1);

test("a message that comes twice, from two pods or after a crash, is shown once", () => {
  let state = dm.take(dm.newDirect("ann"), [message("m1"), message("m1")], true);
  state = dm.take(state, [message("m1")], true);
  expect(ids(state)).toEqual(["m1"]);
  expect(state.people[0]?.unread).toBe(1);
});

test("they stand in the order in which they were written", () => {
  const late = [message("m3", { at: 3 }), message("m1", { at: 1 }), message("m2", { at: 2 })];
  expect(ids(dm.take(dm.newDirect("ann"), late, false))).toEqual(["m1", "m2", "m3"]);
});

test("statuses only move forward", () => {
  let state = dm.write(dm.newDirect("ann"), "bob", "c1", "hi", 5);
  state = dm.setStatus(state, { id: "m1", clientId: "c1" }, "NONE", 6);
  state = dm.setStatus(state, { id: "m1", clientId: undefined }, "DELIVERED", 9);
  state = dm.setStatus(state, { id: "m1", clientId: undefined }, "SENT", 7);
  expect(own(state)).toMatchObject({ id: "m1", status: "DELIVERED", sentAt: 7, deliveredAt: 9 });
});

test("what failed is tried again as the same message, and the server's word is the last", () => {
  let state = dm.fail(dm.write(dm.newDirect("ann"), "bob", "c1", "hi", 5), "c1");
  expect(own(state)?.status).toBe("failed");
  state = dm.retry(state, "c1");
  expect(dm.unanswered(state).map((each) => each.clientId)).toEqual(["c1"]);
  state = dm.setStatus(state, { id: "m1", clientId: "c1" }, "SENT", 6);
  expect(own(dm.fail(state, "c1"))?.status).toBe("SENT");
  expect(ids(state)).toEqual(["m1"]);
  expect(ids(dm.discard(state, "c1"))).toEqual(["m1"]);
});

test("an echo of an own message, on this tab or another, is no second one", () => {
  const state = dm.write(dm.newDirect("ann"), "bob", "c1", "hi", 5);
  const echo = message("m1", { clientId: "c1", from: "ann", to: "bob", status: "NONE" });
  expect(ids(dm.take(state, [echo], true))).toEqual(["m1"]);
  expect(ids(dm.take(dm.newDirect("ann"), [echo], true))).toEqual(["m1"]);
});

test("what is not on the screen counts until it is", () => {
  let state = dm.take(dm.newDirect("ann"), [message("m1"), message("m2")], true);
  expect(state.people[0]).toMatchObject({ username: "bob", unread: 2 });
  state = dm.list(state, [{ username: "bob", online: true, last: "", lastAt: 0 }]);
  expect(state.people[0]).toMatchObject({ online: true, unread: 2, last: "m2" });
  state = dm.show(state, "bob");
  state = dm.take(state, [message("m3")], true);
  expect(state.people[0]?.unread).toBe(0);
});

test("an own message stands by the server's clock, not by that of this machine", () => {
  let state = dm.write(dm.newDirect("ann"), "bob", "c1", "?", 60_000);
  state = dm.setStatus(state, { id: "m1", clientId: "c1" }, "NONE", 1_000);
  state = dm.take(state, [message("m2", { at: 1_500, text: "!" })], true);
  expect(ids(state)).toEqual(["m1", "m2"]);
});

test.each(["before", "behind"])(
  "what the history brings before its sender knows it stored becomes one message (%s)",
  (side) => {
    // The clock of this machine may go before the server's or behind it.
    let state = dm.write(dm.newDirect("ann"), "bob", "c1", "hi", side === "before" ? 5 : 9);
    const stored = message("m1", { from: "ann", to: "bob", at: 7, status: "SENT", cursor: "at-7" });
    state = dm.take(state, [stored], false);
    state = dm.setStatus(state, { id: "m1", clientId: "c1" }, "NONE", 7);
    expect(ids(state)).toEqual(["m1"]);
    expect(own(state)).toMatchObject({ clientId: "c1", status: "SENT", at: 7, cursor: "at-7" });
    expect(dm.unanswered(state)).toEqual([]);
  },
);

test("what somebody says while the page is open is read out, and nothing else", () => {
  const said = (state: dm.Direct, who = "bob") => dm.saidBy(state, who)?.text;
  let state = dm.take(dm.newDirect("ann"), [message("m1", { text: "old" })], false);
  expect(said(state)).toBeUndefined();
  state = dm.take(state, [message("m2", { at: 2, text: "new" })], true);
  expect(said(state)).toBe("new");
  state = dm.take(state, [message("m3", { at: 3, from: "ann", to: "bob", text: "own" })], true);
  state = dm.take(state, [message("m1", { text: "old" })], true);
  expect(said(state)).toBe("new");
  expect(said(state, "eve")).toBeUndefined();
  // The history may be faster than the connection.
  const both = message("m4", { at: 4, text: "newest" });
  state = dm.take(dm.take(state, [both], false), [both], true);
  expect(said(state)).toBe("newest");
});
