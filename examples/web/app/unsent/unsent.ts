import { createStore, type Store } from "../lib/store.ts";
import { api } from "../session/here.ts";
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
  /** They were handed over: they wait no more. */
  dismiss(fromuser: string): Promise<void>;
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
    } catch {
      if (over) return;
      const problem = "The service does not answer just now. It is asked again.";
      store.update((state) => ({ ...state, problem }));
      again = setTimeout(load, AGAIN_MS);
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

  const events = new EventSource(`/unsent/api/live?touser=${encodeURIComponent(touser)}`);
  const live = (is: boolean) => store.update((state) => ({ ...state, live: is }));
  events.onopen = () => live(true);
  events.onerror = () => live(false);
  // Whatever came before it listened, or while it could not, is asked for.
  events.addEventListener("hello", () => void load());
  events.addEventListener("resync", () => void load());
  events.addEventListener("change", (event) => {
    const raw = JSON.parse(String(event.data)) as Record<string, unknown>;
    const sender = readSender(raw);
    store.update((state) =>
      state.inbox === undefined
        ? state
        : { ...state, inbox: change(state.inbox, String(raw["touser"]), sender) },
    );
  });
  void load();
  void loadStats();
  const timer = setInterval(() => document.hidden || void loadStats(), STATS_MS);

  return {
    store,
    async open(fromuser) {
      const body = await api("GET", `${whose}/${encodeURIComponent(fromuser)}`);
      const list = body["list"] ?? body["messages"];
      return Array.isArray(list) ? (list as Record<string, unknown>[]).map(readWaiting) : [];
    },
    async dismiss(fromuser) {
      await api("DELETE", `${whose}/${encodeURIComponent(fromuser)}`);
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
