import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SEND_MS } from "../lib/turns.ts";
import { openRoom, READ_EVERY_MS, type ChatWorld, type OpenRoom, type Page } from "./chat.ts";
import { KEPT, KEPT_MAX } from "./room.ts";
import { tick } from "./ticks.ts";

/** The other end of the wire: what it was sent, and what it says. */
class FakeSocket {
  readyState = 1;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(readonly address: string) {}
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.readyState = 3;
  }
  async say(...frames: object[]) {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
    await vi.advanceTimersByTimeAsync(20);
  }
  of(type: string) {
    return this.sent.filter((frame) => frame["type"] === type);
  }
}

let sockets: FakeSocket[];
let room: OpenRoom;
let page: Page;
let histories: number;
let kept: Map<string, string>;
let openThe: (name: string) => Promise<OpenRoom>;
const last = () => sockets.at(-1)!;

const message = (offset: number) => ({
  type: "chat_message",
  room: "general",
  id: `m${offset}`,
  sender: "u2",
  senderName: "bob",
  content: `text ${offset}`,
  offset,
  created_at: Date.UTC(2026, 0, 2, 3, 4, 5),
});
const hello = { type: "hello", server: "Asia", epoch: "e1", now: 0 };
const joined = { type: "join_room", room: "general", success: true, members: [], head_offset: 9 };
const resumed = { type: "resumed", room: "general" };

beforeEach(async () => {
  vi.useFakeTimers();
  sockets = [];
  histories = 0;
  page = { messages: [], readOffset: undefined, delayed: false };
  let ids = 0;
  let tickets = 0;
  kept = new Map();
  const world: ChatWorld = {
    address: async () => `ws://here/ws/chat?ticket=${++tickets}`,
    open: (address) => {
      const socket = new FakeSocket(address);
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    history: async () => (histories++, page),
    members: async () => [{ user: "u7", name: "eve", online: true }],
    token: async () => "fresh",
    newId: () => `c${++ids}`,
    now: () => Date.now(),
    random: () => 0,
    kept: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
  };
  openThe = async (name) => {
    const opened = openRoom(name, { userId: "u1", username: "ann" }, world);
    await vi.advanceTimersByTimeAsync(0);
    last().onopen?.();
    return opened;
  };
  room = await openThe("general");
});
afterEach(() => vi.useRealTimers());

const offsets = () => room.store.get().room.messages.map((each) => each.offset);

async function comeBack(): Promise<void> {
  last().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(15_000);
  last().onopen?.();
}

test("it joins once greeted, reads the history and asks for what is behind it", async () => {
  page.messages = [message(3), message(2)];
  await last().say(hello, joined, message(4));
  expect(last().of("join_room")).toHaveLength(1);
  expect(offsets()).toEqual([2, 3, 4]);
  expect(last().of("resume")).toMatchObject([{ rooms: [{ room: "general", epoch: "e1" }] }]);
  expect(room.store.get().server).toBe("Asia");
});

test("who had read is known after a reload, and pointers do not go back", async () => {
  const members = [{ user: "u2", name: "bob", online: true, read_offset: 7 }];
  await last().say(hello, { type: "read", room: "general", users: { u3: 5, u4: "?" } });
  const behind = { user: "u3", name: "eve", online: false, read_offset: 2 };
  await last().say({ ...joined, members: [...members, behind] });
  expect(room.store.get().room.reads).toEqual({ u2: 7, u3: 5 });
});

test("who has left the room for good is not waited for, in whatever order that is told", async () => {
  const members = ["u2", "u3", "u4"].map((user) => ({ user, name: user, online: true }));
  await last().say(hello, { ...joined, members }, { ...message(3), sender: "u1" });
  await last().say({ type: "read", room: "general", users: { u2: 3 } });
  const went = (user: string, member: boolean) => {
    const frame = { type: "member_left", room: "general", user, name: user, server: "Asia" };
    return { ...frame, member };
  };
  const own = () => tick(room.store.get().room, room.store.get().room.messages[0]!, "u1");
  await last().say(went("u3", true), went("u4", true));
  expect(own()).toBe("delivered");
  await last().say(went("u3", false), went("u4", false), went("u4", true));
  expect(own()).toBe("read");
  expect(room.store.get().room.notices.filter((each) => each.text.endsWith("left"))).toHaveLength(2);
});

test("who is there is asked for when somebody looks, since large rooms do not tell", async () => {
  await last().say(hello, joined);
  await room.lookAround();
  expect(room.store.get().room.members.map((member) => member.name)).toEqual(["eve"]);
});

test("who leaves without a connection stays a member, and is told so", async () => {
  await last().say(hello, joined, resumed);
  last().onclose?.({ code: 1006 });
  expect(room.leave()).toBe(false);
  expect(room.store.get().problem).toContain("still a member");
  await comeBack();
  expect(room.leave()).toBe(false);
  await last().say(hello, joined, resumed);
  expect(room.leave()).toBe(true);
  expect(last().of("leave_room")).toHaveLength(1);
});

test("who was never let in, or is not any more, leaves at once", async () => {
  await last().say(hello, { ...joined, success: false, error: "Too many rooms" });
  expect(room.leave()).toBe(true);
  expect(room.store.get().problem).not.toContain("still a member");
  await last().say({ ...joined }, resumed);
  room.link.stop("replaced");
  expect(room.leave()).toBe(true);
});

test("each try has a ticket of its own", async () => {
  await comeBack();
  await comeBack();
  expect(new Set(sockets.map((socket) => socket.address)).size).toBe(3);
});

test("a connection that comes back goes on from the last offset, without the history", async () => {
  page.messages = [message(3)];
  await last().say(hello, joined);
  await last().say(resumed, message(5));
  await comeBack();
  await last().say({ ...hello, server: "Europe" }, joined);
  expect(last().of("resume")[0]).toMatchObject({ rooms: [{ offset: 5, epoch: "e1" }] });
  await last().say(message(4), message(5), message(6));
  expect(offsets()).toEqual([3, 4, 5, 6]);
  expect(histories).toBe(1);
});

test("what is said while it comes back does not hide what was said while it was away", async () => {
  page.messages = [message(3)];
  await last().say(hello, joined);
  await last().say(resumed, message(5));
  const from = () => last().of("resume").map((frame) => (frame["rooms"] as { offset: number }[])[0]?.offset);
  for (const live of [20, 21]) {
    await comeBack();
    // The server shows the room before it answers.
    await last().say(hello, message(live), joined);
    expect(from()).toEqual([5]);
  }
  await last().say(...[6, 20, 21].map(message), resumed, message(22));
  expect(offsets()).toEqual([3, 5, 6, 20, 21, 22]);
  await comeBack();
  await last().say(hello, joined);
  expect(from()).toEqual([22]);
});

test("an acknowledgement is no sign that all before it has come", async () => {
  page.messages = [message(3)];
  await last().say(hello, joined);
  await last().say(resumed);
  room.send("mine");
  await last().say({ type: "message_ack", client_msg_id: "c1", id: "m9", offset: 9, created_at: 1 });
  await comeBack();
  await last().say(hello, joined);
  expect(last().of("resume")).toMatchObject([{ rooms: [{ offset: 3 }] }]);
});

test("another log's offsets mean nothing: it starts over", async () => {
  page.messages = [message(30)];
  await last().say(hello, joined);
  await comeBack();
  page.messages = [message(2)];
  await last().say({ ...hello, epoch: "e2" }, joined);
  expect(offsets()).toEqual([2]);
});

test("what was written while the connection was away is sent when it is back, once", async () => {
  await last().say(hello, joined);
  last().onclose?.({ code: 1006 });
  room.send("are you there?");
  await vi.advanceTimersByTimeAsync(1_000);
  last().onopen?.();
  await last().say(hello, joined);
  const sent = { type: "chat_message", room: "general", content: "are you there?" };
  expect(last().of("chat_message")).toEqual([{ ...sent, client_msg_id: "c1" }]);
});

test("what was written before the room is joined waits, and is sent in its order", async () => {
  const texts = () => last().of("chat_message").map((frame) => frame["content"]);
  await last().say(hello, joined);
  last().onclose?.({ code: 1006 });
  room.send("one");
  await vi.advanceTimersByTimeAsync(1_000);
  last().onopen?.();
  room.send("two");
  await last().say(hello);
  room.send("three");
  expect(texts()).toEqual([]);
  await last().say(joined);
  room.send("four");
  expect(texts()).toEqual(["one", "two", "three", "four"]);
});

test("while a server lets nobody in, what is written waits for it", async () => {
  const away = { type: "join_room", room: "general", success: false, error: true, message: "Not yet" };
  await last().say(hello, away);
  room.send("hello");
  await vi.advanceTimersByTimeAsync(3_000);
  expect(last().of("chat_message")).toEqual([]);
  expect(room.store.get().room.outgoing[0]?.state).toBe("sending");
  await last().say(joined);
  expect(last().of("chat_message")).toMatchObject([{ client_msg_id: "c1", content: "hello" }]);
});

test("a history that hangs keeps nobody from writing", async () => {
  page = new Promise(() => {}) as unknown as Page;
  await last().say(hello, joined);
  room.send("hello");
  expect(last().of("chat_message")).toHaveLength(1);
});

test("without an answer it is not sent, and a retry has the same id", async () => {
  await last().say(hello, joined);
  room.send("hello");
  await vi.advanceTimersByTimeAsync(SEND_MS - 100);
  expect(room.store.get().room.outgoing[0]?.state).toBe("sending");
  await vi.advanceTimersByTimeAsync(100);
  expect(room.store.get().room.outgoing[0]?.state).toBe("failed");
  room.retry("c1");
  expect(last().of("chat_message").map((frame) => frame["client_msg_id"])).toEqual(["c1", "c1"]);
  const ack = { type: "message_ack", client_msg_id: "c1", id: "m7", offset: 7, created_at: 1 };
  await last().say(ack, ack);
  expect(offsets()).toEqual([7]);
  expect(room.store.get().room.outgoing).toEqual([]);
});

test("what is written while there is no connection is sent when there is one", async () => {
  await last().say(hello, joined);
  room.send("on its way");
  last().onclose?.({ code: 1006 });
  room.send("waits");
  await vi.advanceTimersByTimeAsync(15_000);
  expect(room.store.get().room.outgoing.map((each) => each.state)).toEqual(["sending", "sending"]);
  last().onopen?.();
  await last().say(hello, joined);
  expect(last().of("chat_message").map((frame) => frame["client_msg_id"])).toEqual(["c1", "c2"]);
  await vi.advanceTimersByTimeAsync(SEND_MS);
  expect(room.store.get().room.outgoing.map((each) => each.state)).toEqual(["failed", "failed"]);
});

test("who wrote too fast is told so until the next message is taken", async () => {
  await last().say(hello, joined);
  room.send("one");
  await last().say({ type: "slow_down", retry_ms: 100 });
  expect(room.store.get().problem).toContain("faster");
  await last().say({ type: "message_ack", client_msg_id: "c1", id: "m7", offset: 7, created_at: 1 });
  expect(room.store.get().problem).toBeUndefined();
});

test("what was not sent outlives a look at another room, or the page, and is sent once", async () => {
  await last().say(hello, joined);
  room.send("one");
  await vi.advanceTimersByTimeAsync(SEND_MS);
  last().onclose?.({ code: 1006 });
  room.send("two");
  room.close();
  const other = await openThe("other");
  expect(other.store.get().room.outgoing).toEqual([]);
  other.close();
  room = await openThe("general");
  const states = room.store.get().room.outgoing.map(({ clientId, content, state }) => [clientId, content, state]);
  expect(states).toEqual([["c1", "one", "failed"], ["c2", "two", "sending"]]);
  await last().say(hello, joined);
  expect(last().of("chat_message")).toMatchObject([{ client_msg_id: "c2", content: "two" }]);
  room.discard("c1");
  await last().say({ type: "message_ack", client_msg_id: "c2", id: "m7", offset: 7, created_at: 1 });
  expect([...kept]).toEqual([]);
  room.close();
  expect((await openThe("general")).store.get().room.outgoing).toEqual([]);
});

test("however many wait for the connection, all are taken in their order, unattended", async () => {
  await last().say(hello, joined);
  last().onclose?.({ code: 1006 });
  for (let n = 1; n <= 40; n += 1) room.send(`text ${n}`);
  await vi.advanceTimersByTimeAsync(1_000);
  last().onopen?.();
  await last().say(hello, joined);
  // As the servers do: twenty at once, then ten a second.
  const [begun, taken, refused] = [Date.now(), [] as string[], [] as string[]];
  for (let heard = 0; taken.length < 40 && Date.now() - begun < 60_000; ) {
    const frame = last().of("chat_message")[heard];
    if (frame === undefined) {
      await vi.advanceTimersByTimeAsync(100);
      continue;
    }
    heard += 1;
    const client_msg_id = String(frame["client_msg_id"]);
    const failed = { type: "message_failed", client_msg_id, code: "rate_limited", retryable: true };
    if (taken.length >= 20 + Math.floor((Date.now() - begun) / 100)) {
      refused.push(client_msg_id);
      await last().say({ type: "slow_down", retry_ms: 300 }, failed);
      expect(room.store.get().problem).toContain("faster");
      continue;
    }
    taken.push(client_msg_id);
    const offset = 9 + taken.length;
    await last().say({ type: "message_ack", client_msg_id, id: `m${offset}`, offset, created_at: 1 });
    // It does not come and go with each of them.
    const still = refused.length > 0 && taken.length < 40;
    expect(room.store.get().problem !== undefined).toBe(still);
  }
  expect(taken).toEqual(Array.from({ length: 40 }, (_, n) => `c${n + 1}`));
  expect(refused.length).toBeGreaterThan(0);
  expect(room.store.get()).toMatchObject({ problem: undefined, room: { outgoing: [] } });
});

test("a server that asks to start over for ever does not make it loop", async () => {
  page.messages = [message(3)];
  await last().say(hello, joined);
  const resync = { type: "resync", room: "general" };
  for (let second = 0; second < 30; second += 1) {
    await last().say(resync);
    await vi.advanceTimersByTimeAsync(980);
  }
  expect(histories).toBeLessThan(12);
  const before = histories;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(histories - before).toBeLessThan(25);
});

test("a token that ends is renewed on the open connection", async () => {
  await last().say(hello, { type: "auth_expiring" });
  expect(last().of("auth")).toEqual([{ type: "auth", token: "fresh" }]);
});

test("one page too many is closed, and comes back only when somebody asks", async () => {
  last().onclose?.({ code: 4409 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(room.link.state.get()).toEqual({ phase: "closed", why: "replaced" });
  expect(sockets).toHaveLength(1);
  room.link.retry();
  await vi.advanceTimersByTimeAsync(0);
  expect(sockets).toHaveLength(2);
});

test("a silent connection is asked, and given up when it says nothing", async () => {
  await last().say(hello, joined);
  const quiet = last();
  await vi.advanceTimersByTimeAsync(25_000);
  expect(quiet.of("ping")).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(quiet.readyState).toBe(3);
  expect(room.link.state.get().phase).not.toBe("open");
});

test("a room of which the end is looked at keeps no more than some messages", async () => {
  await last().say(hello, joined);
  const rush = Array.from({ length: KEPT_MAX + 1 }, (_, offset) => message(offset));
  room.atEnd(false);
  await last().say(...rush);
  expect(offsets()).toHaveLength(KEPT_MAX + 1);
  room.atEnd(true);
  await last().say(message(KEPT_MAX + 1));
  expect(offsets()).toHaveLength(KEPT);
  page.messages = [message(7)];
  room.older();
  await vi.advanceTimersByTimeAsync(0);
  expect(offsets()[0]).toBe(7);
});

test("typing is told now and then, what was read once", async () => {
  await last().say(hello, joined, message(4));
  for (let key = 0; key < 10; key += 1) room.typing();
  expect(last().of("typing")).toHaveLength(1);
  room.seen();
  room.seen();
  expect(last().of("read")).toEqual([{ type: "read", room: "general", offset: 4 }]);
});

test("what is read in a rush is told now and then, up to the last of it", async () => {
  await last().say(hello, joined);
  for (let offset = 5; offset < 25; offset += 1) {
    await last().say(message(offset));
    room.seen();
  }
  await vi.advanceTimersByTimeAsync(READ_EVERY_MS);
  expect(last().of("read").map((frame) => frame["offset"])).toEqual([5, 24]);
});

test("what was read last is told before the page goes", async () => {
  await last().say(hello, joined);
  for (const offset of [5, 6]) {
    await last().say(message(offset));
    room.seen();
  }
  const reads = () => last().of("read").map((frame) => frame["offset"]);
  expect(reads()).toEqual([5]);
  room.settle();
  expect(reads()).toEqual([5, 6]);
  await last().say(message(7));
  room.seen();
  room.close();
  expect(reads()).toEqual([5, 6, 7]);
});

test("frames that make no sense are left out", async () => {
  last().onmessage?.({ data: "{not json" });
  await last().say([], { type: "from_the_future" }, { ...message(1), id: 7 }, hello);
  expect(room.store.get().server).toBe("Asia");
  expect(offsets()).toEqual([]);
});
