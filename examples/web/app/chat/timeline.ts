import { dayName, dayOf } from "../lib/time.ts";
import type { Stored } from "./frames.ts";
import type { Notice, Outgoing, Room } from "./room.ts";

/** A line of a room as it is shown. */
export type Row =
  | { kind: "day"; key: string; text: string }
  | { kind: "divider"; key: string }
  | { kind: "notice"; key: string; text: string }
  | { kind: "message"; key: string; message: Stored; own: boolean; goesOn: boolean }
  | { kind: "outgoing"; key: string; message: Outgoing; goesOn: boolean }
  | { kind: "answer"; key: string; id: string; text: string };

/** Messages of one sender that are not further apart than this are shown as one group. */
const TOGETHER_MS = 5 * 60_000;

/** Where new messages begin, for those that were there when the room was opened. */
export const DIVIDER = "divider";

export function timeline(room: Room, me: string, now: number): Row[] {
  const notices = [...room.notices];
  const rows: Row[] = [];
  let before: Stored | undefined;
  let divided = room.dividerAfter === undefined;
  for (const message of room.messages) {
    rows.push(...noticesBefore(notices, message.offset));
    if (before === undefined || dayOf(before.at) !== dayOf(message.at)) {
      const text = dayName(message.at, now);
      rows.push({ kind: "day", key: `day-${dayOf(message.at)}-${message.id}`, text });
      before = undefined;
    }
    if (!divided && message.offset > (room.dividerAfter ?? -1) && message.sender !== me) {
      divided = true;
      before = undefined;
      rows.push({ kind: "divider", key: DIVIDER });
    }
    const goesOn = rows.at(-1)?.kind === "message" && follows(before, message);
    // An own message keeps its row, and with it its place on the screen, when it becomes stored.
    const key = message.clientId ?? message.id;
    rows.push({ kind: "message", key, message, own: message.sender === me, goesOn });
    before = message;
  }
  rows.push(...noticesBefore(notices, Infinity));
  for (const [id, text] of Object.entries(room.answers)) {
    rows.push({ kind: "answer", key: id, id, text });
  }
  for (const message of room.outgoing) {
    const last = rows.at(-1);
    const goesOn = last?.kind === "outgoing" || (last?.kind === "message" && last.own);
    rows.push({ kind: "outgoing", key: message.clientId, message, goesOn });
  }
  return rows;
}

function follows(before: Stored | undefined, message: Stored): boolean {
  return before?.sender === message.sender && message.at - before.at < TOGETHER_MS;
}

/** Takes out those that stand before the message at `offset`. */
function noticesBefore(notices: Notice[], offset: number): Row[] {
  const rows: Row[] = [];
  while (notices[0] !== undefined && notices[0].after < offset) {
    const { key, text } = notices.shift() as Notice;
    rows.push({ kind: "notice", key, text });
  }
  return rows;
}

/** "Bob is typing…" */
export function typingLine(names: readonly string[]): string {
  const [first, second] = names;
  if (first === undefined) return "";
  if (second === undefined) return `${first} is typing…`;
  return names.length === 2 ? `${first} and ${second} are typing…` : "Several people are typing…";
}
