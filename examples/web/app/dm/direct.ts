/**
 * Direct messages as a page knows them. Pure: what comes in gives a new state, or the same one
 * when nothing changes.
 */
export interface Direct {
  readonly me: string;
  readonly people: readonly Person[];
  /** The messages with each person, by time, each once. A map: people choose their names. */
  readonly threads: ReadonlyMap<string, readonly Message[]>;
  /** Whose thread is on the screen. */
  readonly open: string | undefined;
  /** The last message of another that has come to this page while it was open. */
  readonly news: Message | undefined;
  /** The pod that this page is connected to. */
  readonly pod: string;
}

export interface Person {
  username: string;
  online: boolean;
  /** Messages of this person that were not looked at yet. */
  unread: number;
  last: string;
  lastAt: number;
}

export type Status = "sending" | "failed" | "NONE" | "SENT" | "DELIVERED";

export interface Message {
  /** Of the server, once it is known; until then the page's own. */
  id: string;
  clientId: string | undefined;
  from: string;
  to: string;
  text: string;
  at: number;
  status: Status;
  sentAt: number | undefined;
  deliveredAt: number | undefined;
  /** Of a message of the history: where to go on from. */
  cursor?: string;
}

const RANK: Record<Status, number> = { failed: 0, sending: 1, NONE: 2, SENT: 3, DELIVERED: 4 };

export function newDirect(me: string): Direct {
  return { me, people: [], threads: new Map(), open: undefined, news: undefined, pod: "" };
}

export function threadOf(direct: Direct, who: string): readonly Message[] {
  return direct.threads.get(who) ?? NOTHING;
}

const NOTHING: readonly Message[] = [];

export function withWhom(message: Pick<Message, "from" | "to">, me: string): string {
  return message.from === me ? message.to : message.from;
}

/** Takes messages in, from the connection or from the history. News counts as unread. */
export function take(direct: Direct, arrived: readonly Message[], news: boolean): Direct {
  let next = direct;
  for (const message of arrived) {
    next = takeOne(next, message, news);
    if (news && message.from !== next.me) next = tell(next, message);
  }
  return next;
}

/** Also of one that the history was faster to bring; one that comes again is no news. */
function tell(direct: Direct, message: Message): Direct {
  const { news } = direct;
  if (news !== undefined && (news.id === message.id || news.at > message.at)) return direct;
  return { ...direct, news: message };
}

/** What this person has said last, if nobody else has said anything since. */
export function saidBy(direct: Direct, who: string) {
  const { news } = direct;
  return news?.from === who ? { id: news.id, name: who, text: news.text } : undefined;
}

function takeOne(direct: Direct, message: Message, news: boolean): Direct {
  const who = withWhom(message, direct.me);
  const thread = threadOf(direct, who);
  const known = thread.find((each) => same(each, message));
  if (known !== undefined) {
    const { id, at, cursor = known.cursor } = message;
    const place = cursor === undefined ? {} : { cursor };
    const merged = forward({ ...known, id, at, ...place }, message);
    return setThread(direct, who, thread.map((each) => (each === known ? merged : each)));
  }
  const next = setThread(direct, who, [...thread, message]);
  const unread = news && message.from === who && direct.open !== who ? 1 : 0;
  return touch(next, who, message, unread);
}

function same(a: Message, b: Message): boolean {
  return a.id === b.id || (a.clientId !== undefined && a.clientId === b.clientId);
}

function setThread(direct: Direct, who: string, messages: readonly Message[]): Direct {
  // Sorting is stable: messages of one moment stay as they came.
  const sorted = [...messages].sort((a, b) => a.at - b.at);
  return { ...direct, threads: new Map(direct.threads).set(who, sorted) };
}

/** Puts a person into the list, with the last message and how many more are unread. */
function touch(direct: Direct, who: string, message: Message, unread: number): Direct {
  const known = direct.people.find((person) => person.username === who);
  const newer = known === undefined || message.at >= known.lastAt;
  const person: Person = {
    username: who,
    online: known?.online ?? false,
    unread: (known?.unread ?? 0) + unread,
    last: newer ? message.text : known.last,
    lastAt: newer ? message.at : known.lastAt,
  };
  return setPeople(direct, [...direct.people.filter((each) => each.username !== who), person]);
}

function setPeople(direct: Direct, people: readonly Person[]): Direct {
  const sorted = [...people].sort(
    (a, b) => b.lastAt - a.lastAt || a.username.localeCompare(b.username),
  );
  return { ...direct, people: sorted };
}

/** Who is there, as a server lists them. What this page counted as unread stays. */
export function list(direct: Direct, listed: readonly Omit<Person, "unread">[]): Direct {
  const known = new Map(direct.people.map((person) => [person.username, person]));
  for (const each of listed) {
    if (each.username === direct.me) continue;
    const before = known.get(each.username);
    const newest = before !== undefined && before.lastAt > each.lastAt ? before : each;
    known.set(each.username, {
      ...newest,
      online: each.online,
      unread: before?.unread ?? 0,
    });
  }
  return setPeople(direct, [...known.values()]);
}

/** Opens a person's thread: what is unread there is looked at. */
export function show(direct: Direct, who: string | undefined): Direct {
  if (who === undefined) return { ...direct, open: undefined };
  const known = direct.people.some((person) => person.username === who);
  const fresh = { username: who, online: false, unread: 0, last: "", lastAt: 0 };
  const people = known
    ? direct.people.map((each) => (each.username === who ? { ...each, unread: 0 } : each))
    : [...direct.people, fresh];
  return { ...direct, open: who, people };
}

export function write(direct: Direct, to: string, clientId: string, text: string, at: number) {
  const message: Message = {
    id: clientId,
    clientId,
    from: direct.me,
    to,
    text,
    at,
    status: "sending",
    sentAt: undefined,
    deliveredAt: undefined,
  };
  return takeOne(direct, message, false);
}

/**
 * Statuses only move forward; a message that failed may be tried again. That it is stored brings
 * the server's time: all messages stand by one clock.
 */
export function setStatus(
  direct: Direct,
  which: { id: string; clientId: string | undefined },
  status: Status,
  at: number | undefined,
): Direct {
  for (const [who, thread] of direct.threads) {
    // Two, if the history has brought what this page did not know to be stored, under another name.
    const [known, twin] = thread.filter(
      (each) =>
        each.id === which.id || (which.clientId !== undefined && each.clientId === which.clientId),
    );
    if (known === undefined) continue;
    const times = {
      sentAt: status === "SENT" ? at : undefined,
      deliveredAt: status === "DELIVERED" ? at : undefined,
    };
    const id = which.id === "" ? known.id : which.id;
    const stored = { ...known, id, at: status === "NONE" && at !== undefined ? at : known.at };
    const moved = forward(stored, { ...stored, ...times, status });
    const merged = twin === undefined ? moved : asOne(moved, twin);
    const others = thread.filter((each) => each !== twin);
    return setThread(direct, who, others.map((each) => (each === known ? merged : each)));
  }
  return direct;
}

/** What the page made keeps its own name, and its row; the history knows where to go on from. */
function asOne(one: Message, twin: Message): Message {
  const clientId = one.clientId ?? twin.clientId;
  const placed = one.cursor === undefined ? twin : one;
  const place = placed.cursor === undefined ? {} : { cursor: placed.cursor };
  return { ...forward(one, twin), clientId, at: placed.at, ...place };
}

function forward(known: Message, news: Message): Message {
  return {
    ...known,
    status: RANK[news.status] > RANK[known.status] ? news.status : known.status,
    sentAt: known.sentAt ?? news.sentAt,
    deliveredAt: known.deliveredAt ?? news.deliveredAt,
  };
}

/** Not on its way any more, unless the server has it already. */
export function fail(direct: Direct, clientId: string): Direct {
  return change(direct, clientId, (message) =>
    message.status === "sending" ? { ...message, status: "failed" } : message,
  );
}

export function retry(direct: Direct, clientId: string): Direct {
  return change(direct, clientId, (message) =>
    message.status === "failed" ? { ...message, status: "sending" } : message,
  );
}

export function discard(direct: Direct, clientId: string): Direct {
  return changeThreads(direct, (thread) =>
    thread.filter((each) => each.clientId !== clientId || each.status !== "failed"),
  );
}

function change(direct: Direct, clientId: string, to: (message: Message) => Message): Direct {
  return changeThreads(direct, (thread) =>
    thread.map((each) => (each.clientId === clientId ? to(each) : each)),
  );
}

function changeThreads(direct: Direct, to: (thread: readonly Message[]) => Message[]): Direct {
  const threads = new Map([...direct.threads].map(([who, thread]) => [who, to(thread)] as const));
  return { ...direct, threads };
}

/** Own messages that are not stored, as far as is known, in the order in which they were written. */
export function pending(direct: Direct): Message[] {
  return [...direct.threads.values()]
    .flat()
    .filter((message) => message.status === "sending" || message.status === "failed")
    .sort((a, b) => a.at - b.at);
}

/** Those of them that are still to be sent. */
export function unanswered(direct: Direct): Message[] {
  return pending(direct).filter((message) => message.status === "sending");
}

/** One that was kept from an earlier look at the page. */
export function readPending(raw: Record<string, unknown>, me: string): Message | undefined {
  const { clientId, to, text, at, status } = raw;
  if (typeof clientId !== "string" || typeof to !== "string") return undefined;
  if (typeof text !== "string" || typeof at !== "number") return undefined;
  if (status !== "sending" && status !== "failed") return undefined;
  const unknown = { sentAt: undefined, deliveredAt: undefined };
  return { id: clientId, clientId, from: me, to, text, at, status, ...unknown };
}

/** The messages with a person that came from the history. */
export function fromHistory(direct: Direct, who: string): Message[] {
  return threadOf(direct, who).filter((message) => message.cursor !== undefined);
}

/** Whether the thread with a person is on this page and lacks a message of that time. */
export function lacks(direct: Direct, who: string, lastAt: number): boolean {
  const newest = threadOf(direct, who).at(-1);
  return newest !== undefined && newest.at < lastAt;
}

/** Whether a message is on this page. */
export function has(direct: Direct, which: { id: string; clientId: string | undefined }): boolean {
  return [...direct.threads.values()].some((thread) =>
    thread.some(
      (each) =>
        each.id === which.id || (which.clientId !== undefined && each.clientId === which.clientId),
    ),
  );
}
