import { listen } from "../lib/events.ts";
import { createStore, type Store } from "../lib/store.ts";
import { api, sessions, ticket } from "../session/here.ts";
import { Refused } from "../session/session.ts";
import { change, readInbox, readSender, readWaiting, type Inbox, type Waiting } from "./inbox.ts";

/** What the page shows of one person's waiting messages. */
export interface State {
  inbox: Inbox | undefined;
  live: boolean;
  problem: string | undefined;
  stats: Stats | undefined;
}

export interface Stats {
  readsAux: number;
  readsMaster: number;
  offMaster: number;
  master: string;
  auxiliary: string;
  changes: number;
}

/** One person's waiting messages, as they change. */
export interface Unsent {
  readonly store: Store<State>;
  open(fromuser: string): Promise<Waiting[]>;
  /** Up to this offset they were handed over: they wait no more. What came behind it still does. */
  dismiss(fromuser: string, upto: number): Promise<void>;
  /** Cuts the master off, or joins it again. */
  cutMaster(cut: boolean): Promise<void>;
  close(): void;
}

const STATS_MS = 1_500;
const AGAIN_MS = 2_000;

export function watch(touser: string): Unsent {
  const store = createStore<State>({
    inbox: undefined,
    live: false,
    problem: undefined,
    stats: undefined,
  });
  const whose = `/unsent/api/users/${encodeURIComponent(touser)}/unsent`;
  let over = false;
  let again: ReturnType<typeof setTimeout> | undefined;

  async function load(): Promise<void> {
    clearTimeout(again);
    try {
      const inbox = readInbox(await api("GET", whose));
      if (!over) store.update((state) => ({ ...state, inbox, problem: undefined }));
    } catch (error) {
      if (over) return;
      const not = error instanceof Refused && (error.status === 401 || error.status === 403);
      const problem = not
        ? `These are for ${touser} only: ${error.message}.`
        : "The service does not answer just now. It is asked again.";
      store.update((state) => ({ ...state, problem }));
      if (!not) again = setTimeout(load, AGAIN_MS);
    }
  }

  async function loadStats(): Promise<void> {
    try {
      const raw = await api("GET", "/unsent/api/stats");
      if (!over) store.update((state) => ({ ...state, stats: readStats(raw) }));
    } catch {
      if (!over) store.update((state) => ({ ...state, stats: undefined }));
    }
  }

  const events = listen(
    {
      address: () => liveAddress(touser),
      open: (address) => new EventSource(address),
      later(work, ms) {
        const timer = setTimeout(work, ms);
        return () => clearTimeout(timer);
      },
      random: Math.random,
    },
    {
      live: (is) => store.update((state) => ({ ...state, live: is })),
      on: {
        // Whatever came before it listened, or while it could not, is asked for.
        hello: () => void load(),
        resync: () => void load(),
        change(data) {
          const raw = JSON.parse(data) as Record<string, unknown>;
          const sender = readSender(raw);
          store.update((state) =>
            state.inbox === undefined
              ? state
              : { ...state, inbox: change(state.inbox, String(raw["touser"]), sender) },
          );
        },
      },
    },
  );
  void load();
  void loadStats();
  const timer = setInterval(() => document.hidden || void loadStats(), STATS_MS);

  return {
    store,
    async open(fromuser) {
      const body = await api("GET", `${whose}/${encodeURIComponent(fromuser)}`);
      const { list } = body;
      return Array.isArray(list) ? (list as Record<string, unknown>[]).map(readWaiting) : [];
    },
    async dismiss(fromuser, upto) {
      await api("POST", `${whose}/${encodeURIComponent(fromuser)}/ack`, { upto_offset: upto });
    },
    async cutMaster(cut) {
      await api("POST", "/unsent/api/dev/cut-master", { cut });
      await Promise.all([loadStats(), load()]);
    },
    close() {
      over = true;
      clearTimeout(again);
      clearInterval(timer);
      events.close();
    },
  };
}

/** Who is signed in listens with a ticket: the browser sends no token with this request. */
async function liveAddress(touser: string): Promise<string> {
  const address = `/unsent/api/live?touser=${encodeURIComponent(touser)}`;
  if (sessions.current.get() === undefined) return address;
  // Where nobody gives tickets, it is open to all.
  const given = await ticket().catch(() => undefined);
  return given === undefined ? address : `${address}&ticket=${encodeURIComponent(given)}`;
}

function readStats(raw: Record<string, unknown>): Stats {
  return {
    readsAux: Number(raw["reads_aux"] ?? 0),
    readsMaster: Number(raw["reads_master"] ?? 0),
    offMaster: Number(raw["off_master"] ?? 1),
    master: String(raw["master"] ?? ""),
    auxiliary: String(raw["auxiliary"] ?? ""),
    changes: Number(raw["changes"] ?? 0),
  };
}

/** Writes to somebody, as any chat application would. */
export async function post(touser: string, fromuser: string, message: string): Promise<void> {
  await api("POST", "/unsent/api/messages", { touser, fromuser, message });
}
