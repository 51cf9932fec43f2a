import { expect, test } from "vitest";
import type { Stored } from "./frames.ts";
import * as rooms from "./room.ts";
import { tick } from "./ticks.ts";

const me = { userId: "me", username: "Me", server: "Asia" };

function stored(offset: number, more: Partial<Stored> = {}): Stored {
  return {
    id: `m${offset}`,
    clientId: undefined,
    sender: "bob",
    senderName: "Bob",
    content: `text ${offset}`,
    server: "Europe",
    offset,
    at: offset * 1000,
    ...more,
  };
}

const offsets = (room: rooms.Room) => room.messages.map((message) => message.offset);

test("messages stand in the order of the log, however they come", () => {
  let room = rooms.take(rooms.emptyRoom("r"), [stored(7), stored(3)]);
  room = rooms.take(room, [stored(5)]);
  room = rooms.take(room, [stored(1), stored(2), stored(9)]);
  expect(offsets(room)).toEqual([1, 2, 3, 5, 7, 9]);
  expect(rooms.cursor(room)).toBe(9);
});

test("a message that comes twice is shown once", () => {
  const room = rooms.take(rooms.emptyRoom("r"), [stored(3), stored(3)]);
  expect(offsets(room)).toEqual([3]);
  expect(rooms.take(room, [stored(3)])).toBe(room);
  // Sent again through another instance, it lies in the log twice.
  expect(rooms.take(room, [stored(8, { id: "m3" })])).toBe(room);
});

test("an own message goes from sending to stored, whichever answer comes first", () => {
  const writing = rooms.write(rooms.emptyRoom("r"), "c1", "hello", 10);
  const ack = { clientId: "c1", id: "m4", offset: 4, at: 11 };
  const echo = stored(4, { clientId: "c1", sender: "me" });
  const ackFirst = rooms.take(rooms.acknowledge(writing, ack, me), [echo]);
  const echoFirst = rooms.acknowledge(rooms.take(writing, [echo]), ack, me);
  for (const room of [ackFirst, echoFirst]) {
    expect(room.outgoing).toEqual([]);
    expect(offsets(room)).toEqual([4]);
  }
});

test("what failed is sent again under the same id, and stays one message", () => {
  let room = rooms.write(rooms.emptyRoom("r"), "c1", "hello", 10);
  room = rooms.fail(room, "c1", "Not sent", true);
  expect(room.outgoing[0]).toMatchObject({ state: "failed", failure: "Not sent" });
  room = rooms.retry(room, "c1", 99);
  expect(room.outgoing[0]).toMatchObject({ clientId: "c1", state: "sending", at: 99 });
  // The first try had come through after all.
  room = rooms.take(room, [stored(4, { clientId: "c1", sender: "me" })]);
  room = rooms.take(room, [stored(6, { id: "m4", clientId: "c1", sender: "me" })]);
  expect([room.outgoing.length, offsets(room)]).toEqual([0, [4]]);
});

test("what cannot be retried is not", () => {
  let room = rooms.fail(rooms.write(rooms.emptyRoom("r"), "c1", "x", 1), "c1", "Too long", false);
  expect(rooms.retry(room, "c1", 2).outgoing[0]?.state).toBe("failed");
  room = rooms.discard(room, "c1");
  expect(room.outgoing).toEqual([]);
});

test("an answer to what this page has not written changes nothing", () => {
  const room = rooms.emptyRoom("r");
  expect(rooms.acknowledge(room, { clientId: "c9", id: "m", offset: 1, at: 1 }, me)).toBe(room);
  expect(rooms.fail(room, "c9", "", true)).toBe(room);
});

test("ticks move forward: sent, on every screen, read by all", () => {
  const own = stored(5, { sender: "me" });
  let room = rooms.take(rooms.emptyRoom("r"), [own]);
  expect(tick(room, own, "me")).toBe("sent");
  for (const user of ["me", "bob", "eve"]) {
    room = rooms.setMember(room, { user, name: user, online: user !== "eve" });
  }
  expect(tick(room, own, "me")).toBe("sent");
  room = rooms.point(room, "deliveries", "bob", 5);
  expect(tick(room, own, "me")).toBe("delivered");
  room = rooms.point(room, "reads", "bob", 6);
  expect(tick(room, own, "me")).toBe("delivered");
  room = rooms.point(room, "reads", "eve", 5);
  expect(tick(room, own, "me")).toBe("read");
  expect(rooms.point(room, "reads", "eve", 2)).toBe(room);
});

test("of very many messages the newest are kept, and the history has the others", () => {
  const many = Array.from({ length: rooms.KEPT_MAX + 1 }, (_, offset) => stored(offset));
  let room: rooms.Room = { ...rooms.emptyRoom("r"), history: "complete" };
  room = rooms.notice(room, "a", "Bob joined");
  room = rooms.notice(rooms.take(room, many.slice(0, -1)), "b", "Eve joined");
  expect(rooms.trim(room)).toBe(room);
  room = rooms.take(room, many.slice(-1));
  const loading: rooms.Room = { ...room, history: "loading" };
  expect(rooms.trim(loading)).toBe(loading);
  room = rooms.trim(room);
  expect(offsets(room)).toEqual(many.slice(-rooms.KEPT).map((message) => message.offset));
  expect(room.notices.map((notice) => notice.key)).toEqual(["b"]);
  expect(room.history).toBe("more");
});

test("who stops typing, or says it, is not typing", () => {
  let room = rooms.typed(rooms.emptyRoom("r"), "bob", "Bob", 0);
  expect(rooms.settle(room, 4_999)).toBe(room);
  expect(rooms.settle(room, 5_000).typing).toEqual({});
  room = rooms.take(room, [stored(1)]);
  expect(room.typing).toEqual({});
});

test("SuperChat's answer grows and gives way to the message", () => {
  let room = rooms.answer(rooms.emptyRoom("r"), "m4", "Hel");
  room = rooms.answer(room, "m4", "lo");
  expect(room.answers).toEqual({ m4: "Hello" });
  room = rooms.take(room, [stored(4)]);
  expect(room.answers).toEqual({});
  expect(rooms.answer(room, "m4", " late")).toBe(room);
});

test("notices stand where they came, and are bounded", () => {
  let room = rooms.take(rooms.emptyRoom("r"), [stored(1)]);
  room = rooms.notice(room, "a", "Bob joined");
  expect(room.notices).toEqual([{ key: "a", text: "Bob joined", after: 1 }]);
  for (let n = 0; n < 500; n += 1) room = rooms.notice(room, `n${n}`, "…");
  expect(room.notices).toHaveLength(100);
});
