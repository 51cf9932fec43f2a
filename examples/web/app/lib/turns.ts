/** What takes turns needs of a connection. */
export interface Turning {
  /** The ids of what is to be sent, in its order; an id is gone from there when it was answered. */
  waiting(): readonly string[];
  /** False when it cannot be sent just now. */
  post(id: string): boolean;
  /** It went out, and nobody has answered for it. */
  unanswered(id: string): void;
}

/** Messages go out in their order, and none overtakes one that the server has sent back. */
export interface Turns {
  /** Sends what may go now. Called whenever something was written or answered. */
  go(): void;
  /** The server takes no more just now: this one and all behind it wait so long. */
  hold(id: string, ms: number): void;
  /** A new connection knows of nothing: all that was not answered goes out again. */
  begin(): void;
  stop(): void;
}

/** This long after it went out without an answer a message counts as not sent. */
export const SEND_MS = 10_000;
/** So many may be on their way together while no more wait. */
export const TOGETHER = 5;
const HOLD_LEAST_MS = 100;
const HOLD_MOST_MS = 30_000;

export function createTurns({ waiting, post, unanswered }: Turning): Turns {
  const onTheirWay = new Map<string, ReturnType<typeof setTimeout>>();
  let held: ReturnType<typeof setTimeout> | undefined;
  // While there are many, or one was sent back: what is behind it could be taken before it.
  let oneByOne = false;

  function forget(id: string): void {
    clearTimeout(onTheirWay.get(id));
    onTheirWay.delete(id);
  }

  function go(): void {
    const ids = waiting();
    for (const id of onTheirWay.keys()) if (!ids.includes(id)) forget(id);
    if (held !== undefined) return;
    oneByOne = ids.length > TOGETHER || (oneByOne && ids.length > 0);
    for (const id of ids) {
      if (onTheirWay.has(id)) continue;
      if (onTheirWay.size >= (oneByOne ? 1 : TOGETHER) || !post(id)) return;
      onTheirWay.set(id, setTimeout(giveUp, SEND_MS, id));
    }
  }

  function giveUp(id: string): void {
    onTheirWay.delete(id);
    unanswered(id);
    go();
  }

  function stop(): void {
    for (const id of onTheirWay.keys()) forget(id);
    clearTimeout(held);
    held = undefined;
  }

  return {
    go,
    stop,
    hold(id, ms) {
      forget(id);
      oneByOne = true;
      clearTimeout(held);
      held = setTimeout(
        () => {
          held = undefined;
          go();
        },
        Math.min(Math.max(ms, HOLD_LEAST_MS), HOLD_MOST_MS),
      );
    },
    begin() {
      stop();
      go();
    },
  };
}
