import { GiveUp } from "../lib/link.ts";
import { api, sessions, socketAddress, ticket } from "../session/here.ts";
import { PAGE, type ChatWorld } from "./chat.ts";
import { readMembers } from "./frames.ts";

/** What a connection is given when its token ends soon: one that does not. */
export const LONG_MS = 120_000;

/** The chat servers behind the address that the page came from. */
export const here: ChatWorld = {
  address: () => ticketedAddress("/ws/chat"),
  open: (address) => new WebSocket(address),
  now: () => Date.now(),
  random: () => Math.random(),
  newId: () => newId(),
  kept: sessionStorage,
  token: () => sessions.token(LONG_MS),
  async members(room) {
    const body = await api("GET", `/api/rooms/${encodeURIComponent(room)}/members`);
    return readMembers(body["list"]);
  },
  async history(room, before) {
    const query = before === undefined ? "" : `&before=${before}`;
    const path = `/api/rooms/${encodeURIComponent(room)}/messages?limit=${PAGE}${query}`;
    const body = await api("GET", path);
    const messages = body["messages"];
    const read = body["read_offset"];
    return {
      messages: Array.isArray(messages) ? (messages as Record<string, unknown>[]) : [],
      readOffset: typeof read === "number" ? read : undefined,
      delayed: body["delayed"] === true,
    };
  },
};

/** An address with a ticket of its own. Who is not signed in (any more) need not try again. */
export async function ticketedAddress(path: string): Promise<string> {
  try {
    return socketAddress(path, await ticket());
  } catch (error) {
    if (sessions.current.get() === undefined) throw new GiveUp("signed-out");
    throw error;
  }
}

/** Random, also on origins where `crypto.randomUUID` does not exist. */
export function newId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
