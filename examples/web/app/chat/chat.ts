import { backoff } from "../lib/backoff.ts";
import { coalesce } from "../lib/coalesce.ts";
import { createLink, type Link, type LinkWorld } from "../lib/link.ts";
import { createOutbox, type Kept } from "../lib/outbox.ts";
import { createStore, type Store } from "../lib/store.ts";
import { createTurns } from "../lib/turns.ts";
import { readFrame, readStored, type ChatFrame, type Member, type Stored } from "./frames.ts";
import * as rooms from "./room.ts";
import { chatNext, inRoom, newChat, tooFast, type Chat } from "./state.ts";

/** What the chat needs of the world besides a connection. */
export interface ChatWorld extends LinkWorld {
  history(room: string, before: number | undefined): Promise<Page>;
  members(room: string): Promise<Member[]>;
  token(): Promise<string | undefined>;
  newId(): string;
  /** What this tab keeps while pages come and go. */
  kept: Kept;
}

/** A page of the history, its oldest messages first or last. */
export interface Page {
  messages: Record<string, unknown>[];
  /** How far who asks had read, if the server says so. */
  readOffset: number | undefined;
  delayed: boolean;
}

/** A room, open in this page. */
export interface OpenRoom {
  readonly store: Store<Chat>;
  readonly link: Link;
  send(text: string): void;
  retry(clientId: string): void;
  discard(clientId: string): void;
  /** Tells the others that something is being written; as often as one likes. */
  typing(): void;
  /** The person has seen everything that is here. */
  seen(): void;
  /** Whether the end is on the screen: then nobody misses what is far above it. */
  atEnd(is: boolean): void;
  /** Loads what came before the first message. */
  older(): void;
  /** Asks who is there: in a large room nobody tells who comes and goes. */
  lookAround(): Promise<void>;
  stopAnswer(id: string): void;
  /** Is no member any more; false if nobody can be told of that before the connection is back. */
  leave(): boolean;
  /** Says now what would be said soon: the page may go at any moment. */
  settle(): void;
  /**
   * Ends the connection; the person stays a member and finds what is new later. What was not sent
   * is kept, and sent when the room is open again.
   */
  close(): void;
}

export const PAGE = 50;
const TYPING_EVERY_MS = 3_000;
/** What is read in a rush is told now and then. */
export const READ_EVERY_MS = 500;
/** When something that failed is asked for again. */
const AGAIN_MS = 3_000;
const PING = { frame: { type: "ping" }, everyMs: 25_000, answerMs: 10_000 };
/** What is said to who would leave the room while there is no connection. */
const STILL_A_MEMBER =
  "You are not connected, and still a member. Leave the room when the connection is back.";
/** A server that asks to start over again and again is asked less and less often. */
const RESYNC_CALM_MS = 30_000;

export function openRoom(name: string, me: Chat["me"], world: ChatWorld): OpenRoom {
  const outbox = createOutbox(world.kept, `${me.userId}:${name}`, rooms.readOutgoing);
  const outgoing = outbox.load();
  const store = createStore<Chat>(inRoom(newChat(me, name), (room) => ({ ...room, outgoing })));
  store.subscribe(() => outbox.save(store.get().room.outgoing));
  let typingSent = -Infinity;
  let read = { epoch: "", offset: -1 };
  let readSent = { epoch: "", offset: -1, at: -Infinity, planned: false };
  let resyncs = { count: 0, last: -Infinity, planned: false };
  let loading = 0;
  let atEnd = true;
  // How long a server that takes no more wants to be left alone.
  let calmMs = 0;
  const turns = createTurns({
    waiting: () => onTheirWay().map((message) => message.clientId),
    post,
    unanswered,
  });

  const arrived = coalesce<ChatFrame>((frames) => {
    const now = world.now();
    store.update((chat) => frames.reduce((state, frame) => chatNext(state, frame, now), chat));
    if (atEnd) store.update((chat) => inRoom(chat, rooms.trim));
    for (const frame of frames) follow(frame);
    turns.go();
  });
  const link = createLink(
    world,
    {
      opened: () => store.update((chat) => inRoom(chat, (room) => ({ ...room, joined: false }))),
      frame(raw) {
        const frame = readFrame(raw, world.now());
        if (frame !== undefined) arrived(frame);
      },
    },
    PING,
  );
  link.start();

  /** What a frame asks this page to do. */
  function follow(frame: ChatFrame): void {
    if (frame.type === "hello") join();
    if (frame.type === "auth_expiring") void sendToken();
    if ("room" in frame && frame.room !== name) return;
    if (frame.type === "join_room") {
      if (frame.failure !== undefined) return void setTimeout(join, AGAIN_MS);
      catchUp();
      turns.begin();
    }
    if (frame.type === "slow_down") calmMs = frame.retryMs;
    if (frame.type === "message_failed" && tooFast(frame)) turns.hold(frame.clientId, calmMs);
    if (frame.type === "resync") resync();
  }

  /** Also again, when a server that has just started could not reach the log yet. */
  function join(): void {
    if (!store.get().room.joined) link.send({ type: "join_room", room: name });
  }

  async function sendToken(): Promise<void> {
    const token = await world.token().catch(() => undefined);
    if (token !== undefined) link.send({ type: "auth", token });
  }

  /** From the history when nothing is known, then whatever the log has behind it. */
  function catchUp(): void {
    if (store.get().room.followed >= 0) resume();
    else void load(undefined);
  }

  function resume(): void {
    const { room, epoch } = store.get();
    const offset = room.followed;
    if (offset >= 0 && epoch !== "") {
      link.send({ type: "resume", rooms: [{ room: name, offset, epoch }] });
    } else {
      // The history has just been loaded, of a room that is new or a server that knows no epoch yet.
      store.update((chat) => inRoom(chat, rooms.resumed));
    }
  }

  function tellRead(): void {
    readSent.planned = false;
    const { epoch, offset } = read;
    if (epoch === readSent.epoch && offset <= readSent.offset) return;
    if (!link.send({ type: "read", room: name, offset })) return;
    readSent = { epoch, offset, at: world.now(), planned: false };
  }

  function resync(): void {
    if (resyncs.planned) return;
    const now = world.now();
    const calm = now - resyncs.last > RESYNC_CALM_MS;
    const count = calm ? 0 : resyncs.count + 1;
    resyncs = { count, last: now, planned: true };
    setTimeout(
      () => {
        resyncs.planned = false;
        if (link.state.get().phase !== "open") return;
        store.update((chat) => inRoom(chat, rooms.startOver));
        catchUp();
      },
      calm ? 0 : backoff(count, world.random),
    );
  }

  async function load(before: number | undefined): Promise<void> {
    const round = ++loading;
    const settle = (history: rooms.History) =>
      store.update((chat) => inRoom(chat, (room) => ({ ...room, history })));
    settle("loading");
    try {
      const page = await world.history(name, before);
      if (round !== loading) return;
      const now = world.now();
      const messages = page.messages
        .map((raw) => readStored(raw, now))
        .filter((message): message is Stored => message !== undefined);
      const taken = before === undefined ? rooms.begin : rooms.take;
      store.update((chat) => inRoom(chat, (room) => divide(taken(room, messages), page.readOffset)));
      if (page.delayed) delay(before);
      else settle(messages.length < PAGE ? "complete" : "more");
      if (before === undefined) resume();
    } catch {
      if (round === loading) delay(before);
    }

    function delay(before: number | undefined): void {
      settle("delayed");
      setTimeout(() => {
        const open = link.state.get().phase !== "closed";
        if (open && round === loading) void load(before);
      }, AGAIN_MS);
    }
  }

  function divide(room: rooms.Room, readOffset: number | undefined): rooms.Room {
    if (room.dividerAfter !== undefined || readOffset === undefined) return room;
    return { ...room, dividerAfter: readOffset };
  }

  /** Who has not joined may not write yet: until then a message waits. */
  function post(clientId: string): boolean {
    const message = onTheirWay().find((each) => each.clientId === clientId);
    if (message === undefined || !store.get().room.joined) return false;
    const { content } = message;
    return link.send({ type: "chat_message", room: name, content, client_msg_id: clientId });
  }

  /** What a connection took with it is sent again when it is back. */
  function unanswered(clientId: string): void {
    const connected = link.state.get().phase === "open" && store.get().room.joined;
    if (!connected) return;
    store.update((chat) => inRoom(chat, (room) => rooms.fail(room, clientId, "Not sent", true)));
  }

  function onTheirWay(): rooms.Outgoing[] {
    return store.get().room.outgoing.filter((message) => message.state === "sending");
  }

  return {
    store,
    link,
    send(text) {
      const clientId = world.newId();
      store.update((chat) => inRoom(chat, (room) => rooms.write(room, clientId, text, world.now())));
      turns.go();
      // What is written next is news again.
      typingSent = -Infinity;
    },
    retry(clientId) {
      store.update((chat) => inRoom(chat, (room) => rooms.retry(room, clientId, world.now())));
      turns.go();
    },
    discard(clientId) {
      store.update((chat) => inRoom(chat, (room) => rooms.discard(room, clientId)));
    },
    typing() {
      if (world.now() - typingSent < TYPING_EVERY_MS) return;
      if (link.send({ type: "typing", room: name })) typingSent = world.now();
    },
    seen() {
      const { room, epoch } = store.get();
      read = { epoch, offset: rooms.cursor(room) };
      if (readSent.planned) return;
      const wait = readSent.at + READ_EVERY_MS - world.now();
      if (wait <= 0) return tellRead();
      readSent.planned = true;
      setTimeout(tellRead, wait);
    },
    atEnd(is) {
      atEnd = is;
    },
    older() {
      const { messages, history } = store.get().room;
      if (history === "more") void load(messages[0]?.offset);
    },
    async lookAround() {
      const members = await world.members(name).catch(() => undefined);
      if (members === undefined) return;
      store.update((chat) => inRoom(chat, (room) => ({ ...room, members })));
    },
    stopAnswer(id) {
      link.send({ type: "llm_stop", room: name, id });
    },
    leave() {
      const { room, greeted } = store.get();
      if (room.joined && link.send({ type: "leave_room", room: name })) return true;
      // Who has never come in, or is not let in any more, waits for nothing.
      if (!greeted || link.state.get().phase === "closed") return true;
      store.update((chat) => ({ ...chat, problem: STILL_A_MEMBER }));
      return false;
    },
    settle: tellRead,
    close() {
      tellRead();
      turns.stop();
      link.stop("left");
    },
  };
}
