import { createLink, type Link, type LinkWorld } from "../lib/link.ts";
import { createOutbox, type Kept } from "../lib/outbox.ts";
import { createStore, type Store } from "../lib/store.ts";
import { createTurns } from "../lib/turns.ts";
import { toMillis } from "../lib/time.ts";
import * as dm from "./direct.ts";
import type { Direct, Message, Person, Status } from "./direct.ts";

/** What direct messages need of the world besides a connection. */
export interface DmWorld extends LinkWorld {
  /** The data of an answer of a pod. */
  get(path: string): Promise<unknown>;
  token(): Promise<string | undefined>;
  newId(): string;
  /** What this tab keeps while pages come and go. */
  kept: Kept;
}

/** Direct messages, open in this page. */
export interface Messenger {
  readonly store: Store<Direct>;
  readonly link: Link;
  show(who: string | undefined): void;
  /** Somebody's name as the account has it. Fails with words if there is nobody. */
  find(name: string): Promise<string>;
  send(to: string, text: string): void;
  /** Loads what came before the first message. */
  older(who: string): void;
  retry(clientId: string): void;
  discard(clientId: string): void;
  close(): void;
}

const PEOPLE_MS = 3_000;
const PING = { frame: { type: "ping" }, everyMs: 25_000, answerMs: 10_000 };

type Fields = Record<string, unknown>;

export function openMessenger(me: string, world: DmWorld): Messenger {
  // Whoever it is for: it is sent when there is a connection, whose thread is on the screen or not.
  const outbox = createOutbox(world.kept, `dm:${me}`, (raw) => dm.readPending(raw, me));
  const store = createStore(dm.take(dm.newDirect(me), outbox.load(), false));
  store.subscribe(() => outbox.save(dm.pending(store.get())));
  const complete = new Set<string>();
  const loading = new Set<string>();
  const catching = new Set<string>();
  const turns = createTurns({
    waiting: () => dm.unanswered(store.get()).map((message) => message.clientId ?? ""),
    post,
    unanswered,
  });
  const link = createLink(world, {
    opened() {
      void loadPeople();
      const { open } = store.get();
      if (open !== undefined) void loadThread(open);
      turns.begin();
    },
    frame(raw) {
      take(raw as Fields);
      turns.go();
    },
  }, PING);
  link.start();
  void loadPeople();
  const timer = setInterval(() => void loadPeople(), PEOPLE_MS);

  function take(raw: Fields): void {
    if (typeof raw !== "object" || raw === null) return;
    if (raw["type"] === "status") return takeStatus(raw);
    if (raw["type"] === "hello") {
      const pod = String(raw["pod_id"] ?? "");
      return store.update((state) => ({ ...state, pod }));
    }
    if (raw["type"] === "error" && typeof raw["client_msg_id"] === "string") {
      const refused = raw["client_msg_id"];
      const wait = raw["retry_ms"];
      // It only came too soon.
      if (typeof wait === "number") return turns.hold(refused, wait);
      return store.update((state) => dm.fail(state, refused));
    }
    if (raw["type"] === "auth_expiring") return void sendToken();
    const message = readMessage(raw, me, world.now());
    if (message === undefined) return;
    store.update((state) => dm.take(state, [message], true));
    // It counts as delivered when it is here, not when it was written to a socket.
    if (message.to === me) link.send({ type: "ack", message_id: message.id });
  }

  function takeStatus(raw: Fields): void {
    const status = raw["status"];
    if (status !== "NONE" && status !== "SENT" && status !== "DELIVERED") return;
    const clientId = raw["client_msg_id"];
    const which = {
      id: String(raw["message_id"] ?? ""),
      clientId: typeof clientId === "string" ? clientId : undefined,
    };
    const at = toMillis(raw["at"], world.now());
    const to = raw["reciever_id"];
    if (typeof to === "string" && store.get().threads.has(to) && !dm.has(store.get(), which)) {
      // It was written elsewhere.
      void loadThread(to);
    }
    store.update((state) => dm.setStatus(state, which, status, at));
  }

  async function sendToken(): Promise<void> {
    const token = await world.token().catch(() => undefined);
    if (token !== undefined) link.send({ type: "auth", token });
  }

  async function loadPeople(): Promise<void> {
    if (globalThis.document?.hidden) return;
    const listed = await world.get("/conversations").catch(() => undefined);
    if (!Array.isArray(listed)) return;
    const people = (listed as Fields[]).map((raw) => readPerson(raw));
    const behind = people.filter(({ username, lastAt }) => dm.lacks(store.get(), username, lastAt));
    store.update((state) => dm.list(state, people));
    // Another page of this user's has written.
    for (const { username } of behind) void loadThread(username);
  }

  /** Loads the last messages, and those before them until nothing is missing in between. */
  async function loadThread(who: string): Promise<void> {
    if (catching.has(who)) return;
    catching.add(who);
    const known = new Set(dm.fromHistory(store.get(), who).map((message) => message.id));
    let page = await loadPage(who, undefined);
    while (page?.length && known.size > 0 && !page.some(({ id }) => known.has(id))) {
      page = await loadPage(who, page[0]?.cursor);
    }
    catching.delete(who);
  }

  async function loadPage(who: string, before: string | undefined): Promise<Message[] | undefined> {
    const from = before === undefined ? "" : `&before=${encodeURIComponent(before)}`;
    const path = `/messages?with=${encodeURIComponent(who)}${from}`;
    const listed = await world.get(path).catch(() => undefined);
    if (!Array.isArray(listed)) return undefined;
    const messages = (listed as Fields[])
      .map((raw) => readMessage(raw, me, world.now()))
      .filter((message): message is Message => message !== undefined);
    store.update((state) => dm.take(state, messages, false));
    return messages;
  }

  /** Loads what came before the first message that the history gave. */
  async function older(who: string): Promise<void> {
    const first = dm.fromHistory(store.get(), who)[0];
    if (first === undefined || complete.has(who) || loading.has(who)) return;
    loading.add(who);
    const page = await loadPage(who, first.cursor);
    if (page?.length === 0) complete.add(who);
    loading.delete(who);
  }

  async function find(name: string): Promise<string> {
    const user = await world.get(`/auth/users?username=${encodeURIComponent(name)}`);
    const username = (user as Fields | undefined)?.["username"];
    if (typeof username !== "string") throw new Error("no such user");
    return username;
  }

  /** Until there is a connection it waits. */
  function post(clientId: string): boolean {
    const message = dm.unanswered(store.get()).find((each) => each.clientId === clientId);
    if (message === undefined) return false;
    const { to, text } = message;
    return link.send({ payload: text, sender_id: me, reciever_id: to, client_msg_id: clientId });
  }

  /** What a connection took with it is sent again when it is back. */
  function unanswered(clientId: string): void {
    if (link.state.get().phase !== "open") return;
    store.update((state) => dm.fail(state, clientId));
  }

  return {
    store,
    link,
    show(who) {
      store.update((state) => dm.show(state, who));
      if (who !== undefined) void loadThread(who);
    },
    find,
    send(to, text) {
      const clientId = world.newId();
      store.update((state) => dm.write(state, to, clientId, text, world.now()));
      turns.go();
    },
    older: (who) => void older(who),
    retry(clientId) {
      store.update((state) => dm.retry(state, clientId));
      turns.go();
    },
    discard(clientId) {
      store.update((state) => dm.discard(state, clientId));
    },
    close() {
      clearInterval(timer);
      turns.stop();
      link.stop("left");
    },
  };
}

/** A message of the connection, where its text is `message`, or of the history: `payload`. */
export function readMessage(raw: Fields, me: string, now: number): Message | undefined {
  const id = raw["message_id"];
  const text = raw["message"] ?? raw["payload"];
  const from = raw["sender_id"];
  const to = raw["reciever_id"];
  if (typeof id !== "string" || typeof text !== "string") return undefined;
  if (typeof from !== "string" || typeof to !== "string") return undefined;
  if (from !== me && to !== me) return undefined;
  const clientId = raw["client_msg_id"];
  const cursor = raw["cursor"];
  const time = (value: unknown) => (value == null ? undefined : toMillis(value, now));
  return {
    id,
    clientId: typeof clientId === "string" ? clientId : undefined,
    from,
    to,
    text,
    at: toMillis(raw["created_at"], now),
    status: readStatus(raw["status"]),
    sentAt: time(raw["sent_at"]),
    deliveredAt: time(raw["delivered_at"]),
    ...(typeof cursor === "string" ? { cursor } : {}),
  };
}

function readStatus(raw: unknown): Status {
  return raw === "SENT" || raw === "DELIVERED" ? raw : "NONE";
}

function readPerson(raw: Fields): Omit<Person, "unread"> {
  return {
    username: String(raw["username"] ?? ""),
    online: raw["online"] === true,
    // Who is there and has not written yet has neither.
    last: String(raw["last_message"] ?? ""),
    lastAt: toMillis(raw["last_at"], 0),
  };
}
