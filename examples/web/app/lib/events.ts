import { backoff } from "./backoff.ts";

/** What a stream of events needs of the world; tests bring their own. */
export interface EventsWorld {
  /** The address to listen at; a ticket in it may be good for one try only. */
  address(): Promise<string>;
  open(address: string): Source;
  later(work: () => void, ms: number): () => void;
  random(): number;
}

/** As much as is needed of an `EventSource`. */
export type Source = Pick<
  EventSource,
  "readyState" | "onopen" | "onerror" | "addEventListener" | "close"
>;

export interface EventsHeard {
  /** Whether events come just now. */
  live(is: boolean): void;
  /** What is done with each kind of event. */
  on: Record<string, (data: string) => void>;
}

/** What `readyState` is when the browser has given up. */
const CLOSED = 2;

/**
 * Server-sent events that come back. A browser reconnects by itself when a connection breaks, but
 * gives up for good when a proxy answers that nobody is there: then a new source is opened.
 */
export function listen(world: EventsWorld, heard: EventsHeard): { close(): void } {
  let source: Source | undefined;
  let stopWaiting = () => {};
  let attempt = 0;
  let over = false;

  function again(): void {
    heard.live(false);
    stopWaiting = world.later(() => void open(), backoff(attempt++, world.random));
  }

  async function open(): Promise<void> {
    let address: string;
    try {
      address = await world.address();
    } catch {
      if (!over) again();
      return;
    }
    if (over) return;
    const opened = world.open(address);
    source = opened;
    opened.onopen = () => {
      attempt = 0;
      heard.live(true);
    };
    opened.onerror = () => {
      heard.live(false);
      if (opened.readyState !== CLOSED || source !== opened || over) return;
      source = undefined;
      opened.close();
      again();
    };
    for (const [kind, take] of Object.entries(heard.on)) {
      opened.addEventListener(kind, (event) => take(String((event as MessageEvent).data)));
    }
  }

  void open();
  return {
    close() {
      over = true;
      stopWaiting();
      source?.close();
    },
  };
}
