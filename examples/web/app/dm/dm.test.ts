import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SEND_MS } from "../lib/turns.ts";
import { threadOf } from "./direct.ts";
import { openMessenger, type DmWorld, type Messenger } from "./dm.ts";

/** The pod's end of the wire. */
class FakeSocket {
  readyState = 1;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.readyState = 3;
  }
  say(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

let sockets: FakeSocket[];
let messenger: Messenger;
let answers: Record<string, unknown>;
let asked: string[];
let kept: Map<string, string>;
let open: () => Promise<Messenger>;
const last = () => sockets.at(-1)!;
const thread = () => threadOf(messenger.store.get(), "bob");

beforeEach(async () => {
  vi.useFakeTimers();
  sockets = [];
  asked = [];
  answers = {};
  let ids = 0;
  kept = new Map();
  const world: DmWorld = {
    address: async () => "ws://here",
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    get: async (path) => (asked.push(path), answers[path]),
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
  open = async () => {
    const opened = openMessenger("ann", world);
    await vi.advanceTimersByTimeAsync(0);
    last().onopen?.();
    return opened;
  };
  messenger = await open();
});
afterEach(() => {
  messenger.close();
  vi.useRealTimers();
});

const delivery = { message: "hi", reciever_id: "ann", sender_id: "bob", message_id: "m1" };

test("a message is acknowledged each time it comes, and shown once", () => {
  last().say(delivery);
  last().say(delivery);
  const ack = { type: "ack", message_id: "m1" };
  expect(last().sent).toEqual([ack, ack]);
  expect(thread()).toHaveLength(1);
});

test("what is sent has the names of the original", () => {
  messenger.send("bob", "hello");
  expect(last().sent).toEqual([
    { payload: "hello", sender_id: "ann", reciever_id: "bob", client_msg_id: "c1" },
  ]);
});

test("what was not answered when the pod died is sent to the next, under the same id", async () => {
  messenger.send("bob", "one");
  messenger.send("bob", "two");
  const status = { type: "status", message_id: "m1", client_msg_id: "c1", status: "NONE", at: 1 };
  last().say(status);
  last().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(1_000);
  last().onopen?.();
  expect(last().sent.map((frame) => frame["client_msg_id"])).toEqual(["c2"]);
});

test("without an answer it is not sent; a refused one at once", async () => {
  messenger.send("bob", "one");
  messenger.send("bob", "two");
  last().say({ type: "error", message: "no", client_msg_id: "c2" });
  expect(thread().map((each) => each.status)).toEqual(["sending", "failed"]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(thread().map((each) => each.status)).toEqual(["failed", "failed"]);
});

test("what is written while there is no connection is sent when there is one", async () => {
  messenger.send("bob", "on its way");
  last().onclose?.({ code: 1006 });
  messenger.send("bob", "waits");
  await vi.advanceTimersByTimeAsync(15_000);
  expect(thread().map((each) => each.status)).toEqual(["sending", "sending"]);
  last().onopen?.();
  expect(last().sent.map((frame) => frame["client_msg_id"])).toEqual(["c1", "c2"]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(thread().map((each) => each.status)).toEqual(["failed", "failed"]);
});

test("what came too soon waits as long as the pod says, and what is behind it, too", async () => {
  const sent = () => last().sent.map((frame) => frame["client_msg_id"]);
  messenger.send("bob", "one");
  last().say({ type: "error", message: "too fast", client_msg_id: "c1", retry_ms: 400 });
  messenger.send("bob", "two");
  await vi.advanceTimersByTimeAsync(399);
  expect(sent()).toEqual(["c1"]);
  expect(thread().map((each) => each.status)).toEqual(["sending", "sending"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent()).toEqual(["c1", "c1"]);
  last().say({ type: "status", message_id: "m1", client_msg_id: "c1", status: "NONE", at: 1 });
  expect(sent()).toEqual(["c1", "c1", "c2"]);
});

test("of many that wait none overtakes another, whoever they are for", async () => {
  last().onclose?.({ code: 1006 });
  for (let n = 1; n <= 30; n += 1) {
    messenger.send(n % 2 === 0 ? "bob" : "eve", `text ${n}`);
    await vi.advanceTimersByTimeAsync(1);
  }
  await vi.advanceTimersByTimeAsync(1_000);
  last().onopen?.();
  const sent = () => last().sent.map((frame) => frame["client_msg_id"]);
  for (let n = 1; n <= 30; n += 1) {
    expect(sent()).toEqual(Array.from({ length: n }, (_, before) => `c${before + 1}`));
    last().say({ type: "status", message_id: `m${n}`, client_msg_id: `c${n}`, status: "NONE", at: n });
  }
});

test("what was not sent outlives the page, and is sent by the next, whoever it is for", async () => {
  messenger.send("bob", "one");
  await vi.advanceTimersByTimeAsync(SEND_MS);
  last().onclose?.({ code: 1006 });
  messenger.send("eve", "two");
  messenger.close();
  messenger = await open();
  expect(thread()).toMatchObject([{ clientId: "c1", text: "one", status: "failed" }]);
  const sent = { payload: "two", sender_id: "ann", reciever_id: "eve", client_msg_id: "c2" };
  expect(last().sent).toEqual([sent]);
  last().say({ type: "status", message_id: "m2", client_msg_id: "c2", status: "NONE", at: 1 });
  messenger.discard("c1");
  expect([...kept]).toEqual([]);
});

test("frames of somebody else's, and nonsense, are left out", () => {
  last().say({ ...delivery, reciever_id: "zoe" });
  last().say({ ...delivery, message_id: 7 });
  last().say({ type: "status", message_id: "m1", status: "READ" });
  last().onmessage?.({ data: "nonsense" });
  expect(messenger.store.get().threads.size).toBe(0);
});

test("the history is asked for until there is no more", async () => {
  const row = (n: number) => ({
    message_id: `m${n}`, payload: "x", sender_id: "bob", reciever_id: "ann",
    created_at: n, cursor: `at-${n}`, status: "DELIVERED",
  });
  answers["/messages?with=bob"] = [row(3), row(4)];
  answers["/messages?with=bob&before=at-3"] = [row(1), row(2)];
  answers["/messages?with=bob&before=at-1"] = [];
  messenger.show("bob");
  await vi.advanceTimersByTimeAsync(0);
  for (let times = 0; times < 4; times += 1) {
    messenger.older("bob");
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(thread().map((each) => each.id)).toEqual(["m1", "m2", "m3", "m4"]);
  expect(asked.filter((path) => path.includes("before"))).toHaveLength(2);
});

const row = (n: number) => ({
  message_id: `m${n}`, payload: "x", sender_id: "bob", reciever_id: "ann",
  created_at: n, cursor: `at-${n}`, status: "DELIVERED",
});

test("after a break the history is loaded until nothing is missing in the middle", async () => {
  answers["/messages?with=bob"] = [row(1), row(2)];
  messenger.show("bob");
  await vi.advanceTimersByTimeAsync(0);
  answers["/messages?with=bob"] = [row(7), row(8)];
  answers["/messages?with=bob&before=at-7"] = [row(5), row(6)];
  answers["/messages?with=bob&before=at-5"] = [row(2), row(3), row(4)];
  last().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(1_000);
  last().onopen?.();
  // What the pod sends by itself does not pass for the history.
  last().say({ ...delivery, message_id: "m8", created_at: 8 });
  await vi.advanceTimersByTimeAsync(0);
  expect(thread().map((each) => each.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `m${n}`));
});

test("what another page of the same user has written is loaded", async () => {
  answers["/messages?with=bob"] = [row(1)];
  messenger.show("bob");
  await vi.advanceTimersByTimeAsync(0);
  const own = { ...row(2), sender_id: "ann", reciever_id: "bob" };
  answers["/messages?with=bob"] = [row(1), own];
  const status = { type: "status", message_id: "m2", reciever_id: "bob", status: "SENT", at: 9 };
  last().say(status);
  await vi.advanceTimersByTimeAsync(0);
  expect(thread().map((each) => each.id)).toEqual(["m1", "m2"]);
  const late = { ...row(3), sender_id: "ann", reciever_id: "bob" };
  answers["/messages?with=bob"] = [row(1), own, late];
  answers["/conversations"] = [{ username: "bob", last_message: "x", last_at: 3 }];
  await vi.advanceTimersByTimeAsync(3_000);
  expect(thread().map((each) => each.id)).toEqual(["m1", "m2", "m3"]);
});

test("a name is opened as the account has it", async () => {
  answers["/auth/users?username=BOB"] = { username: "bob" };
  await expect(messenger.find("BOB")).resolves.toBe("bob");
  await expect(messenger.find("zoe")).rejects.toThrow("no such user");
});

test.each(["constructor", "valueOf", "toString", "__proto__"])(
  "a person called %s is one like any other",
  async (name) => {
    const listed = ["bob", name].map((username) => ({ username, last_message: "x", last_at: 3 }));
    answers["/conversations"] = listed;
    await vi.advanceTimersByTimeAsync(3_000);
    const people = () => messenger.store.get().people.map((person) => person.username);
    expect(people().sort()).toEqual(["bob", name].sort());
    messenger.show(name);
    messenger.send(name, "hello");
    last().say({ ...delivery, sender_id: name });
    last().say({ type: "status", message_id: "m2", client_msg_id: "c1", status: "SENT", at: 9 });
    const said = threadOf(messenger.store.get(), name);
    expect(said.map(({ id, status }) => [id, status])).toEqual([["m2", "SENT"], ["m1", "NONE"]]);
  },
);

test("a try that hangs is given up, and another one made", async () => {
  last().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(1_000);
  const tries = sockets.length;
  // Nobody answers: neither open nor closed.
  await vi.advanceTimersByTimeAsync(22_000);
  expect(sockets.length).toBe(tries + 1);
});
