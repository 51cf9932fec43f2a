import { expect, test } from "vitest";
import type { Stored } from "./frames.ts";
import * as rooms from "./room.ts";
import { timeline, typingLine } from "./timeline.ts";

const NOON = new Date(2026, 0, 5, 12).getTime();
const DAY = 24 * 3600_000;

function stored(offset: number, sender: string, at: number): Stored {
  const id = `m${offset}`;
  return { id, clientId: undefined, sender, senderName: sender, content: id, server: "", offset, at };
}

function shown(room: rooms.Room): string[] {
  return timeline(room, "me", NOON).map((row) => {
    switch (row.kind) {
      case "message":
        return `${row.own ? "own " : ""}${row.goesOn ? "+" : ""}${row.message.content}`;
      case "outgoing":
        return `out ${row.message.content}`;
      case "divider":
        return "new";
      default:
        return row.text;
    }
  });
}

test("messages are grouped by day and by sender", () => {
  const room = rooms.take(rooms.emptyRoom("r"), [
    stored(1, "bob", NOON - DAY),
    stored(2, "bob", NOON - 9 * 60_000),
    stored(3, "bob", NOON - 8 * 60_000),
    stored(4, "me", NOON - 8 * 60_000),
    stored(5, "bob", NOON - 8 * 60_000),
    stored(6, "bob", NOON),
  ]);
  expect(shown(room)).toEqual([
    "Yesterday", "m1", "Today", "m2", "+m3", "own m4", "m5", "m6",
  ]);
});

test("the divider stands before the first message that is new, and not before an own one", () => {
  let room = rooms.take(rooms.emptyRoom("r"), [
    stored(1, "bob", NOON), stored(2, "me", NOON), stored(3, "bob", NOON), stored(4, "bob", NOON),
  ]);
  room = { ...room, dividerAfter: 1 };
  expect(shown(room)).toEqual(["Today", "m1", "own m2", "new", "m3", "+m4"]);
  expect(shown({ ...room, dividerAfter: 4 })).not.toContain("new");
});

test("notices stand where they came, what is on its way behind everything", () => {
  let room = rooms.notice(rooms.emptyRoom("r"), "n0", "You joined r 🎉");
  room = rooms.take(room, [stored(1, "bob", NOON)]);
  room = rooms.notice(room, "n1", "Eve joined");
  room = rooms.write(room, "c1", "hello", NOON);
  room = rooms.take(room, [stored(2, "eve", NOON)]);
  expect(shown(room)).toEqual(["You joined r 🎉", "Today", "m1", "Eve joined", "m2", "out hello"]);
});

test("who is typing, in words", () => {
  expect(typingLine([])).toBe("");
  expect(typingLine(["Bob"])).toBe("Bob is typing…");
  expect(typingLine(["Bob", "Eve"])).toBe("Bob and Eve are typing…");
  expect(typingLine(["Bob", "Eve", "Ann"])).toBe("Several people are typing…");
});
