import { expect, test } from "vitest";
import { backoff } from "./backoff.ts";
import { begin, CODE, linkNext, type LinkEvent, type LinkState } from "./link-state.ts";

const never = () => 0;

function after(events: [LinkEvent, number][], from: LinkState = begin): LinkState {
  return events.reduce((state, [event, now]) => linkNext(state, event, now, never), from);
}

test("waits grow, are bounded, and differ by chance", () => {
  const least = [0, 1, 2, 3, 4, 5, 9].map((attempt) => backoff(attempt, () => 0));
  expect(least).toEqual([250, 500, 1000, 2000, 4000, 7500, 7500]);
  expect(backoff(9, () => 1)).toBe(15_000);
});

test("a connection that breaks at once does not reset the waits", () => {
  let state: LinkState = begin;
  const waits: number[] = [];
  for (let now = 0, round = 0; round < 4; round += 1) {
    state = after([[{ is: "opened" }, now], [{ is: "lost", code: 1006 }, now + 10]], state);
    if (state.phase !== "waiting") throw new Error(state.phase);
    waits.push(state.until - now - 10);
    state = after([[{ is: "due" }, state.until]], state);
    now += 10_000;
  }
  expect(waits).toEqual([250, 500, 1000, 2000]);
});

test("a connection that lasted does", () => {
  const lost: LinkState = { phase: "connecting", attempt: 6 };
  const state = after([[{ is: "opened" }, 0], [{ is: "lost", code: 1006 }, 60_000]], lost);
  expect(state).toEqual({ phase: "waiting", attempt: 1, until: 60_250 });
});

test("an idle connection that was closed stays closed until somebody asks", () => {
  const state = after([[{ is: "opened" }, 0], [{ is: "lost", code: CODE.idle }, 9_000]]);
  expect(state).toEqual({ phase: "closed", why: "idle" });
  expect(after([[{ is: "due" }, 9_001], [{ is: "online" }, 9_002]], state)).toBe(state);
  expect(after([[{ is: "retry" }, 9_003]], state)).toBe(begin);
});

test("a page that had to make room for a newer one does not push that out in turn", () => {
  const state = after([[{ is: "opened" }, 0], [{ is: "lost", code: CODE.replaced }, 9_000]]);
  expect(state).toEqual({ phase: "closed", why: "replaced" });
});

test("a slow reader's connection and an expired token's come back", () => {
  for (const code of [CODE.slow, CODE.signedOut, 1001, 1006]) {
    const state = after([[{ is: "opened" }, 0], [{ is: "lost", code }, 9_000]]);
    expect(state.phase).toBe("waiting");
  }
});

test("there are no tries without a network, and one at once when it is back", () => {
  const away = after([[{ is: "opened" }, 0], [{ is: "offline" }, 10]]);
  expect(away).toEqual({ phase: "offline" });
  expect(after([[{ is: "due" }, 20], [{ is: "lost", code: 1006 }, 30]], away)).toBe(away);
  expect(after([[{ is: "online" }, 40]], away)).toBe(begin);
});
