import { backoff } from "./backoff.ts";

/** Where a connection stands. Pure: what happens goes in, where it stands next comes out. */
export type LinkState =
  | { phase: "connecting"; attempt: number }
  | { phase: "open"; attempt: number; since: number }
  | { phase: "waiting"; attempt: number; until: number }
  | { phase: "offline" }
  | { phase: "closed"; why: Closed };

/** Why there will be no further try unless somebody asks for it. */
export type Closed = "left" | "idle" | "signed-out" | "refused" | "replaced";

export type LinkEvent =
  | { is: "opened" }
  | { is: "lost"; code: number }
  | { is: "due" }
  | { is: "online" }
  | { is: "offline" }
  | { is: "retry" }
  | { is: "stop"; why: Closed };

/** Close codes of our servers that say more than that the connection is gone. */
export const CODE = {
  idle: 4400,
  signedOut: 4401,
  refused: 4403,
  slow: 4408,
  /** Too many pages of one person are open. */
  replaced: 4409,
} as const;

/** A connection that lasted shorter than this counts as one more failed try. */
const STABLE_MS = 5_000;

export const begin: LinkState = { phase: "connecting", attempt: 0 };

export function linkNext(
  state: LinkState,
  event: LinkEvent,
  now: number,
  random: () => number,
): LinkState {
  switch (event.is) {
    case "opened":
      if (state.phase !== "connecting") return state;
      return { phase: "open", attempt: state.attempt, since: now };
    case "lost":
      return lost(state, event.code, now, random);
    case "due":
      return state.phase === "waiting" ? { phase: "connecting", attempt: state.attempt } : state;
    case "online":
      return state.phase === "offline" || state.phase === "waiting" ? begin : state;
    case "offline":
      return state.phase === "closed" ? state : { phase: "offline" };
    case "retry":
      return state.phase === "open" || state.phase === "connecting" ? state : begin;
    case "stop":
      return { phase: "closed", why: event.why };
  }
}

function lost(state: LinkState, code: number, now: number, random: () => number): LinkState {
  if (state.phase !== "open" && state.phase !== "connecting") return state;
  if (code === CODE.idle) return { phase: "closed", why: "idle" };
  if (code === CODE.refused) return { phase: "closed", why: "refused" };
  // Too many are open. A chat server refuses one more, and would do so again; with direct messages
  // to come back would take the place of a newer one, which would come back in turn.
  if (code === CODE.replaced) return { phase: "closed", why: "replaced" };
  const stable = state.phase === "open" && now - state.since >= STABLE_MS;
  const failed = stable ? 0 : state.attempt;
  return { phase: "waiting", attempt: failed + 1, until: now + backoff(failed, random) };
}
