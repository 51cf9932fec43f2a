import { begin, linkNext, type Closed, type LinkEvent, type LinkState } from "./link-state.ts";
import { createStore, type Store } from "./store.ts";

/** What a link needs of the world; tests bring their own. */
export interface LinkWorld {
  /** The address to connect to, with a ticket of its own: a ticket is good for one connection. */
  address(): Promise<string>;
  open(address: string): WebSocket;
  now(): number;
  random(): number;
}

export interface LinkEvents {
  opened(): void;
  frame(frame: unknown): void;
}

/** Thrown by `address` when there is no use in trying again. */
export class GiveUp extends Error {
  constructor(readonly why: Closed) {
    super(why);
  }
}

/** A frame that asks for an answer, sent when nothing has been heard for a while. */
export interface Heartbeat {
  frame: object;
  everyMs: number;
  answerMs: number;
}

/** A try that has come to nothing by then is given up: a proxy may never answer. */
const CONNECT_MS = 20_000;

/** A WebSocket that comes back: one at a time, with a new ticket for each try. */
export interface Link {
  readonly state: Store<LinkState>;
  start(): void;
  /** False when it is not open: nothing is kept. */
  send(frame: object): boolean;
  retry(): void;
  stop(why: Closed): void;
}

export function createLink(world: LinkWorld, events: LinkEvents, heartbeat?: Heartbeat): Link {
  const state = createStore<LinkState>({ phase: "closed", why: "left" });
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pulse: ReturnType<typeof setTimeout> | undefined;
  // What belongs to an earlier try is told from what belongs to this one by its number.
  let round = 0;

  function happen(event: LinkEvent): void {
    const before = state.get();
    const after = linkNext(before, event, world.now(), world.random);
    if (after === before) return;
    clearTimeout(timer);
    state.update(() => after);
    if (after.phase !== "open") drop();
    if (after.phase === "connecting") void connect();
    if (after.phase === "waiting") {
      timer = setTimeout(() => happen({ is: "due" }), after.until - world.now());
    }
  }

  async function connect(): Promise<void> {
    const mine = ++round;
    pulse = setTimeout(() => happen({ is: "lost", code: 1006 }), CONNECT_MS);
    try {
      const address = await world.address();
      if (mine === round) attach(world.open(address), mine);
    } catch (error) {
      if (mine !== round) return;
      if (error instanceof GiveUp) happen({ is: "stop", why: error.why });
      else happen({ is: "lost", code: 1006 });
    }
  }

  function attach(opened: WebSocket, mine: number): void {
    socket = opened;
    opened.onopen = () => {
      if (mine !== round) return opened.close();
      clearTimeout(pulse);
      happen({ is: "opened" });
      listen();
      events.opened();
    };
    opened.onmessage = (message) => {
      if (mine !== round) return;
      listen();
      const frame = parse(message.data);
      if (frame !== undefined) events.frame(frame);
    };
    opened.onclose = (close) => {
      if (mine === round) happen({ is: "lost", code: close.code });
    };
  }

  /** Something was heard: the next question is due after a silence. */
  function listen(): void {
    if (heartbeat === undefined) return;
    clearTimeout(pulse);
    pulse = setTimeout(() => {
      socket?.send(JSON.stringify(heartbeat.frame));
      pulse = setTimeout(() => happen({ is: "lost", code: 1006 }), heartbeat.answerMs);
    }, heartbeat.everyMs);
  }

  function drop(): void {
    round += 1;
    clearTimeout(pulse);
    socket?.close();
    socket = undefined;
  }

  const online = () => happen({ is: "online" });
  const offline = () => happen({ is: "offline" });

  return {
    state,
    start() {
      globalThis.addEventListener?.("online", online);
      globalThis.addEventListener?.("offline", offline);
      state.update(() => begin);
      void connect();
    },
    send(frame) {
      if (state.get().phase !== "open" || socket?.readyState !== 1) return false;
      socket.send(JSON.stringify(frame));
      return true;
    },
    retry: () => happen({ is: "retry" }),
    stop(why) {
      globalThis.removeEventListener?.("online", online);
      globalThis.removeEventListener?.("offline", offline);
      happen({ is: "stop", why });
    },
  };
}

function parse(data: unknown): unknown {
  try {
    return JSON.parse(String(data));
  } catch {
    return undefined;
  }
}
