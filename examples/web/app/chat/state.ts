import type { CameOrWent, ChatFrame } from "./frames.ts";
import * as rooms from "./room.ts";
import type { Room } from "./room.ts";

/** What a connection to the chat knows. Pure: see `chat.ts` for what talks. */
export interface Chat {
  readonly me: { userId: string; username: string };
  /** The name of the instance that this page is connected to. */
  readonly server: string;
  /** Which log the offsets belong to. */
  readonly epoch: string;
  readonly room: Room;
  /** A word for the person, until the next one. */
  readonly problem: string | undefined;
  /** When this page first said that it had joined: it says so once. */
  readonly greeted: boolean;
}

export function newChat(me: Chat["me"], room: string): Chat {
  return {
    me,
    server: "",
    epoch: "",
    room: rooms.emptyRoom(room),
    problem: undefined,
    greeted: false,
  };
}

export function chatNext(chat: Chat, frame: ChatFrame, now: number): Chat {
  if ("room" in frame && frame.room !== chat.room.name) return chat;
  switch (frame.type) {
    case "hello":
      return greet(chat, frame.server, frame.epoch);
    case "join_room":
      return joined(chat, frame);
    case "leave_room":
      return inRoom(chat, (room) => ({ ...room, joined: false }));
    case "chat_message":
      return inRoom(chat, (room) => rooms.hear(room, frame.message));
    case "message_ack": {
      const me = { ...chat.me, server: chat.server };
      const next = inRoom(chat, (room) => rooms.acknowledge(room, frame, me));
      // Whatever was wrong, messages are taken again. What waits may yet be too much.
      if (next.room.outgoing.some((message) => message.state === "sending")) return next;
      return next.problem === undefined ? next : { ...next, problem: undefined };
    }
    case "message_failed":
      // It is still to be sent, when the server takes more.
      if (tooFast(frame)) return chat;
      return inRoom(chat, (room) =>
        rooms.fail(room, frame.clientId, FAILURES[frame.code] ?? "Not sent", frame.retryable),
      );
    case "member_joined":
    case "member_left":
      return cameOrWent(chat, frame);
    case "typing":
      if (frame.user === chat.me.userId) return chat;
      return inRoom(chat, (room) => rooms.typed(room, frame.user, frame.name, now));
    case "read":
      return inRoom(chat, (room) => rooms.pointAll(room, "reads", frame.users));
    case "delivered":
      return inRoom(chat, (room) => rooms.pointAll(room, "deliveries", frame.users));
    case "llm_delta":
      return inRoom(chat, (room) => rooms.answer(room, frame.id, frame.text));
    case "llm_done":
      return inRoom(chat, (room) => rooms.answerDone(room, frame.id));
    case "slow_down":
      return { ...chat, problem: "You write faster than the room can take. A moment, please." };
    case "error":
      return { ...chat, problem: frame.message };
    case "resumed":
      return inRoom(chat, rooms.resumed);
    case "auth_expiring":
    case "resync":
      return chat;
  }
}

/** Whether all that is wrong with a message is that it came too soon. */
export function tooFast(failed: Extract<ChatFrame, { type: "message_failed" }>): boolean {
  return failed.code === "rate_limited";
}

const FAILURES: Record<string, string> = {
  not_joined: "The room was left",
  too_long: "Too long",
  broker_unavailable: "Not sent: the log cannot be reached",
  timeout: "Not sent: the log did not answer",
};

/** Every connection begins with it. Offsets of another log mean nothing here. */
function greet(chat: Chat, server: string, epoch: string): Chat {
  // A server that cannot reach the log yet does not know the epoch.
  const known = epoch === "" ? chat.epoch : epoch;
  const other = chat.epoch !== "" && known !== chat.epoch;
  const room = other ? rooms.startAnew(chat.room) : chat.room;
  const fresh = { ...room, answers: {}, joined: false, resuming: true };
  return { ...chat, server, epoch: known, room: fresh, problem: undefined };
}

function joined(chat: Chat, frame: Extract<ChatFrame, { type: "join_room" }>): Chat {
  if (frame.failure !== undefined) return { ...chat, problem: frame.failure };
  const read = rooms.pointAll(chat.room, "reads", frame.reads);
  const room = { ...read, joined: true, members: frame.members };
  if (chat.greeted) return { ...chat, room, problem: undefined };
  // Behind what the room had when it was joined, which has yet to be loaded.
  const after = Math.max(rooms.cursor(room), frame.head);
  const greeting = rooms.notice(room, "me", `You joined ${room.name} 🎉`, after);
  return { ...chat, room: greeting, greeted: true, problem: undefined };
}

function cameOrWent(chat: Chat, frame: CameOrWent): Chat {
  const { member, server, belongs } = frame;
  const came = frame.type === "member_joined";
  if (member.user === chat.me.userId) return chat;
  return inRoom(chat, (room) => {
    const before = room.members.find((each) => each.user === member.user);
    // That somebody is not here may be told after that the room was left for good.
    if (!came && before === undefined) return room;
    const next = belongs
      ? rooms.setMember(room, { ...member, online: came })
      : rooms.dropMember(room, member.user);
    // A second tab, or a connection that came back, is no news.
    if (came === (before?.online ?? false)) return next;
    const from = server === "" ? "" : ` from server ${server}`;
    const words = came ? `${member.name} joined${from} 🎉` : `${member.name} left`;
    const key = `${frame.type}-${member.user}-${room.notices.length}-${rooms.cursor(room)}`;
    return rooms.notice(next, key, words);
  });
}

export function inRoom(chat: Chat, change: (room: Room) => Room): Chat {
  const room = change(chat.room);
  return room === chat.room ? chat : { ...chat, room };
}
