import type { Member, Stored } from "./frames.ts";

/**
 * One room as a page knows it. Pure: every function gives a new room, or the same one when nothing
 * changes. Stored messages are in the order of the log, each once; what is still on its way stands
 * behind them, in the order in which it was written.
 */
export interface Room {
  readonly name: string;
  readonly joined: boolean;
  readonly messages: readonly Stored[];
  readonly outgoing: readonly Outgoing[];
  readonly notices: readonly Notice[];
  readonly members: readonly Member[];
  /** How far each member has read, and how far messages have come to each member's screen. */
  readonly reads: Readonly<Record<string, number>>;
  readonly deliveries: Readonly<Record<string, number>>;
  readonly typing: Readonly<Record<string, { name: string; until: number }>>;
  /** SuperChat's answers that are being written, by the id that the finished message will have. */
  readonly answers: Readonly<Record<string, string>>;
  readonly history: History;
  /** The last message that the log has told of, over this connection or one before. */
  readonly heard: number;
  /** Up to here nothing is missing: where a new connection goes on from. */
  readonly followed: number;
  /** A new connection has not told yet all that was missed. */
  readonly resuming: boolean;
  /** The offset up to which the person had read when the room was opened: the divider's place. */
  readonly dividerAfter: number | undefined;
}

export type History = "unknown" | "loading" | "more" | "complete" | "delayed";

/** A message of this page that is not in the log yet. */
export interface Outgoing {
  clientId: string;
  content: string;
  at: number;
  state: "sending" | "failed";
  failure: string | undefined;
  retryable: boolean;
}

/** One that was kept from an earlier look at the room. */
export function readOutgoing(raw: Record<string, unknown>): Outgoing | undefined {
  const { clientId, content, at, state, failure } = raw;
  if (typeof clientId !== "string" || typeof content !== "string") return undefined;
  if (typeof at !== "number" || (state !== "sending" && state !== "failed")) return undefined;
  const why = typeof failure === "string" ? failure : undefined;
  return { clientId, content, at, state, failure: why, retryable: raw["retryable"] !== false };
}

export interface Notice {
  key: string;
  text: string;
  /** The last message that stood above it. */
  after: number;
}

const KEPT_NOTICES = 100;
/** So many messages are kept of more than so many. */
export const KEPT = 2_000;
export const KEPT_MAX = 3_000;
const TYPING_MS = 5_000;

export function emptyRoom(name: string): Room {
  return {
    name,
    joined: false,
    messages: [],
    outgoing: [],
    notices: [],
    members: [],
    reads: {},
    deliveries: {},
    typing: {},
    answers: {},
    history: "unknown",
    heard: -1,
    followed: -1,
    resuming: true,
    dividerAfter: undefined,
  };
}

/** The offset of the last message, or -1. */
export function cursor(room: Room): number {
  return room.messages.at(-1)?.offset ?? -1;
}

/** The log tells of a message. What comes live says nothing about what was missed before. */
export function hear(room: Room, message: Stored): Room {
  const heard = Math.max(room.heard, message.offset);
  return { ...take(room, [message]), heard, followed: room.resuming ? room.followed : heard };
}

/** The newest page of the history: nothing before its end is missing that older pages do not have. */
export function begin(room: Room, newest: readonly Stored[]): Room {
  const followed = Math.max(room.followed, ...newest.map((message) => message.offset));
  return { ...take(room, newest), followed };
}

/** Nothing is missing any more up to what was heard. */
export function resumed(room: Room): Room {
  return { ...room, resuming: false, followed: Math.max(room.followed, room.heard) };
}

/** Takes messages in, from the connection or from the history, whatever their order. */
export function take(room: Room, arrived: readonly Stored[]): Room {
  const names = namesOf(room.messages);
  const fresh = notYet(names, arrived);
  const here = new Set(arrived.map((message) => message.clientId));
  const outgoing = room.outgoing.filter((message) => !here.has(message.clientId));
  if (fresh.length === 0 && outgoing.length === room.outgoing.length) return room;
  const answers = without(room.answers, fresh.map((message) => message.id));
  const typing = without(room.typing, fresh.map((message) => message.sender));
  const messages = merge(room.messages, fresh);
  NAMES.delete(room.messages);
  NAMES.set(messages, names);
  return { ...room, messages, outgoing, answers, typing };
}

/** Those whose id and offset are new, by offset; their names are noted. */
function notYet(names: Set<string | number>, arrived: readonly Stored[]): Stored[] {
  const fresh = arrived.filter(({ id, offset }) => {
    const isNew = !names.has(id) && !names.has(offset);
    if (isNew) names.add(id).add(offset);
    return isNew;
  });
  return fresh.sort((a, b) => a.offset - b.offset);
}

/** Ids and offsets of the newest list of messages, so that not all are looked at for each new one. */
const NAMES = new WeakMap<readonly Stored[], Set<string | number>>();

function namesOf(messages: readonly Stored[]): Set<string | number> {
  return NAMES.get(messages) ?? new Set(messages.flatMap(({ id, offset }) => [id, offset]));
}

function merge(known: readonly Stored[], fresh: readonly Stored[]): readonly Stored[] {
  const first = fresh[0];
  const last = known.at(-1);
  if (first === undefined) return known;
  if (last === undefined || last.offset < first.offset) return [...known, ...fresh];
  return [...known, ...fresh].sort((a, b) => a.offset - b.offset);
}

/**
 * Forgets the oldest of very many messages: the history has them. Not while some of it is on its
 * way, which would leave a gap behind it.
 */
export function trim(room: Room): Room {
  const whole = room.history === "complete" || room.history === "more";
  if (!whole || room.messages.length <= KEPT_MAX) return room;
  const messages = room.messages.slice(-KEPT);
  const first = messages[0]?.offset ?? 0;
  const notices = room.notices.filter((notice) => notice.after >= first);
  return { ...room, messages, notices, history: "more" };
}

/** Forgets what was stored: the log is another one, or too much was missed to go on from. */
export function startOver(room: Room): Room {
  const nothing = { messages: [], notices: [], answers: {}, heard: -1, followed: -1 };
  return { ...room, ...nothing, history: "unknown", resuming: true };
}

/** The same, and what was said about the offsets of a log that is no more. */
export function startAnew(room: Room): Room {
  return { ...startOver(room), reads: {}, deliveries: {}, dividerAfter: undefined };
}

export function write(room: Room, clientId: string, content: string, at: number): Room {
  const message: Outgoing = {
    clientId,
    content,
    at,
    state: "sending",
    failure: undefined,
    retryable: true,
  };
  return { ...room, outgoing: [...room.outgoing, message] };
}

/** The broker has it: it takes its place among the stored ones. */
export function acknowledge(
  room: Room,
  ack: { clientId: string; id: string; offset: number; at: number },
  me: { userId: string; username: string; server: string },
): Room {
  const sent = room.outgoing.find((message) => message.clientId === ack.clientId);
  if (sent === undefined) return room;
  const { id, clientId, offset, at } = ack;
  const stored: Stored = {
    id,
    clientId,
    offset,
    at,
    sender: me.userId,
    senderName: me.username,
    content: sent.content,
    server: me.server,
  };
  return take(room, [stored]);
}

export function fail(room: Room, clientId: string, failure: string, retryable: boolean): Room {
  return change(room, clientId, (message) => ({ ...message, state: "failed", failure, retryable }));
}

/** Sends again under the same id, so that it stays one message however often it is tried. */
export function retry(room: Room, clientId: string, at: number): Room {
  return change(room, clientId, (message) =>
    message.state === "failed" && message.retryable
      ? { ...message, state: "sending", failure: undefined, at }
      : message,
  );
}

export function discard(room: Room, clientId: string): Room {
  const outgoing = room.outgoing.filter((message) => message.clientId !== clientId);
  return outgoing.length === room.outgoing.length ? room : { ...room, outgoing };
}

function change(room: Room, clientId: string, to: (message: Outgoing) => Outgoing): Room {
  if (!room.outgoing.some((message) => message.clientId === clientId)) return room;
  const outgoing = room.outgoing.map((each) => (each.clientId === clientId ? to(each) : each));
  return { ...room, outgoing };
}

export function notice(room: Room, key: string, text: string, after = cursor(room)): Room {
  const line = { key, text, after };
  return { ...room, notices: [...room.notices, line].slice(-KEPT_NOTICES) };
}

export function setMember(room: Room, member: Member): Room {
  const others = room.members.filter((each) => each.user !== member.user);
  return { ...room, members: [...others, member] };
}

/** Nobody waits for this one to read anything any more. */
export function dropMember(room: Room, user: string): Room {
  return { ...room, members: room.members.filter((each) => each.user !== user) };
}

/** Pointers only move forward. */
export function point(room: Room, kind: "reads" | "deliveries", user: string, to: number): Room {
  if ((room[kind][user] ?? -1) >= to) return room;
  return { ...room, [kind]: { ...room[kind], [user]: to } };
}

export function pointAll(
  room: Room,
  kind: "reads" | "deliveries",
  users: Readonly<Record<string, number>>,
): Room {
  const each = Object.entries(users);
  return each.reduce((next, [user, to]) => point(next, kind, user, to), room);
}

export function typed(room: Room, user: string, name: string, now: number): Room {
  return { ...room, typing: { ...room.typing, [user]: { name, until: now + TYPING_MS } } };
}

/** Forgets those who stopped typing. */
export function settle(room: Room, now: number): Room {
  const over = Object.entries(room.typing).filter(([, each]) => each.until <= now);
  return over.length === 0 ? room : { ...room, typing: without(room.typing, over.map(([u]) => u)) };
}

export function answer(room: Room, id: string, text: string): Room {
  if (room.messages.some((message) => message.id === id)) return room;
  return { ...room, answers: { ...room.answers, [id]: (room.answers[id] ?? "") + text } };
}

export function answerDone(room: Room, id: string): Room {
  return id in room.answers ? { ...room, answers: without(room.answers, [id]) } : room;
}

function without<T>(map: Readonly<Record<string, T>>, keys: readonly string[]) {
  if (!keys.some((key) => key in map)) return map;
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}
