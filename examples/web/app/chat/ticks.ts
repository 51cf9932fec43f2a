import type { Room } from "./room.ts";
import type { Stored } from "./frames.ts";

/** How far an own message has come. It only moves forward. */
export type Tick = "sending" | "failed" | "sent" | "delivered" | "read";

export const TICK_NAMES: Record<Tick, string> = {
  sending: "Sending",
  failed: "Not sent",
  sent: "Sent",
  delivered: "Delivered to everybody here",
  read: "Read by everybody",
};

/** Sent once it is in the log, delivered when it is on every screen, read when all have read it. */
export function tick(room: Room, message: Stored, me: string): Tick {
  const others = room.members.filter((member) => member.user !== me);
  if (others.length === 0) return "sent";
  const at = message.offset;
  const read = (user: string) => (room.reads[user] ?? -1) >= at;
  if (others.every((member) => read(member.user))) return "read";
  const online = others.filter((member) => member.online);
  const seen = (user: string) => read(user) || (room.deliveries[user] ?? -1) >= at;
  return online.length > 0 && online.every((member) => seen(member.user)) ? "delivered" : "sent";
}
