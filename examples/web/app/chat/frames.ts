import { toMillis } from "../lib/time.ts";

/** What the chat servers send, as far as the pages use it. */
export type ChatFrame =
  | { type: "hello"; server: string; epoch: string; now: number }
  | Joined
  | { type: "leave_room"; room: string }
  | { type: "chat_message"; room: string; message: Stored }
  | { type: "message_ack"; clientId: string; id: string; offset: number; at: number }
  | { type: "message_failed"; clientId: string; code: string; retryable: boolean }
  | CameOrWent
  | { type: "typing"; room: string; user: string; name: string }
  | { type: "read" | "delivered"; room: string; users: Record<string, number> }
  | { type: "llm_delta"; room: string; id: string; text: string }
  | { type: "llm_done"; room: string; id: string }
  | { type: "slow_down"; retryMs: number }
  | { type: "auth_expiring" }
  | { type: "resync"; room: string }
  | { type: "resumed"; room: string }
  | { type: "error"; code: string; message: string };

export interface CameOrWent {
  type: "member_joined" | "member_left";
  room: string;
  member: Member;
  server: string;
  /** Who is not here may still be a member, unless the room was left for good. */
  belongs: boolean;
}

export interface Joined {
  type: "join_room";
  room: string;
  members: Member[];
  /** How far each has read, where the server says so. */
  reads: Record<string, number>;
  head: number;
  failure: string | undefined;
}

export interface Member {
  user: string;
  name: string;
  online: boolean;
}

/** A message as the log has it. */
export interface Stored {
  id: string;
  clientId: string | undefined;
  sender: string;
  senderName: string;
  content: string;
  server: string;
  offset: number;
  at: number;
}

/** The sender's name under which SuperChat answers. */
export const SUPERCHAT = "SuperChat";

type Fields = Record<string, unknown>;

/** Undefined for what this version of the page does not know. */
export function readFrame(raw: unknown, now: number): ChatFrame | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const frame = raw as Fields;
  if (frame["error"] === true) {
    if (frame["type"] === "join_room") return joined(frame);
    return { type: "error", code: text(frame, "code"), message: text(frame, "message") };
  }
  const room = text(frame, "room");
  switch (frame["type"]) {
    case "hello":
      return {
        type: "hello",
        server: text(frame, "server"),
        epoch: text(frame, "epoch"),
        now: toMillis(frame["now"], now),
      };
    case "join_room":
      return joined(frame);
    case "leave_room":
      return { type: "leave_room", room };
    case "chat_message": {
      const message = readStored(frame, now);
      return message && { type: "chat_message", room, message };
    }
    case "message_ack":
      return {
        type: "message_ack",
        clientId: text(frame, "client_msg_id"),
        id: text(frame, "id"),
        offset: number(frame, "offset"),
        at: toMillis(frame["created_at"], now),
      };
    case "message_failed":
      return {
        type: "message_failed",
        clientId: text(frame, "client_msg_id"),
        code: text(frame, "code"),
        retryable: frame["retryable"] !== false,
      };
    case "member_joined":
    case "member_left":
      return {
        type: frame["type"],
        room,
        member: member(frame),
        server: text(frame, "server"),
        belongs: frame["member"] !== false,
      };
    default:
      return readFleeting(frame, room);
  }
}

/** What is shown for a moment, or moves a pointer, or is about the connection. */
function readFleeting(frame: Fields, room: string): ChatFrame | undefined {
  const user = text(frame, "user");
  switch (frame["type"]) {
    case "typing":
      return { type: "typing", room, user, name: text(frame, "name") };
    case "read":
    case "delivered":
      return { type: frame["type"], room, users: offsets(frame["users"]) };
    case "llm_delta":
      return { type: "llm_delta", room, id: text(frame, "id"), text: text(frame, "text") };
    case "llm_done":
      return { type: "llm_done", room, id: text(frame, "id") };
    case "slow_down":
      return { type: "slow_down", retryMs: number(frame, "retry_ms") };
    case "auth_expiring":
      return { type: "auth_expiring" };
    case "resync":
    case "resumed":
      return { type: frame["type"], room };
    default:
      return undefined;
  }
}

/** A message of a frame or of the history. */
export function readStored(raw: Fields, now: number): Stored | undefined {
  const id = text(raw, "id");
  if (id === "") return undefined;
  return {
    id,
    clientId: text(raw, "client_msg_id") || undefined,
    sender: text(raw, "sender"),
    senderName: text(raw, "senderName"),
    content: text(raw, "content"),
    server: text(raw, "server"),
    offset: number(raw, "offset"),
    at: toMillis(raw["created_at"], now),
  };
}

export function readMembers(raw: unknown): Member[] {
  return Array.isArray(raw) ? (raw as Fields[]).map(member) : [];
}

function joined(frame: Fields): ChatFrame {
  const listed = Array.isArray(frame["members"]) ? (frame["members"] as Fields[]) : [];
  const success = frame["success"] === true;
  return {
    type: "join_room",
    room: text(frame, "room"),
    members: readMembers(listed),
    reads: Object.fromEntries(
      listed.map((each) => [member(each).user, number(each, "read_offset")]),
    ),
    head: number(frame, "head_offset"),
    failure: success ? undefined : text(frame, "message") || "The room cannot be joined.",
  };
}

function member(raw: Fields): Member {
  return { user: text(raw, "user"), name: text(raw, "name"), online: raw["online"] === true };
}

function text(raw: Fields, name: string): string {
  const value = raw[name];
  return typeof value === "string" ? value : "";
}

function offsets(raw: unknown): Record<string, number> {
  const known = Object.entries(typeof raw === "object" ? (raw ?? {}) : {});
  return Object.fromEntries(known.filter(([, offset]) => Number.isFinite(offset)));
}

function number(raw: Fields, name: string): number {
  const value = raw[name];
  return typeof value === "number" && Number.isFinite(value) ? value : -1;
}
