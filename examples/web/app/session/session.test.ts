import { expect, test } from "vitest";
import { createSessions, type Answer, type SessionWorld } from "./session.ts";
import { renewIn } from "./token.ts";

const MINUTE = 60_000;

function tokenFor(expiresAt: number, name = "ann"): string {
  const claims = { userID: "u-1", username: name, exp: expiresAt / 1000 };
  const body = btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(claims))));
  return `h.${body.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.s`;
}

function world(answers: (path: string) => Answer | Error, shared = new Map<string, string>()) {
  const calls: string[] = [];
  const planned: { work: () => void; ms: number; on: boolean }[] = [];
  let now = 0;
  let turn: Promise<unknown> = Promise.resolve();
  const made: SessionWorld = {
    storage: {
      getItem: (key) => shared.get(key) ?? null,
      setItem: (key, value) => void shared.set(key, value),
      removeItem: (key) => void shared.delete(key),
    },
    async post(path) {
      calls.push(path);
      const answer = answers(path);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    alone(work) {
      const mine = turn.then(work);
      turn = mine.catch(() => {});
      return mine;
    },
    now: () => now,
    later(work, ms) {
      const plan = { work, ms, on: true };
      planned.push(plan);
      return () => (plan.on = false);
    },
  };
  const waiting = () => planned.filter((plan) => plan.on);
  return { made, calls, shared, waiting, at: (ms: number) => (now = ms) };
}

const login = { status: 200, body: { error: false, token: tokenFor(15 * MINUTE) } };

test("signing in keeps the token under the names of the original", async () => {
  const { made, shared } = world(() => login);
  await createSessions(made).login("ann", "long enough");
  expect(shared.get("go-chat-token")).toBe(login.body.token);
  expect(shared.get("go-chat-userId")).toBe("u-1");
});

test("a token is renewed a minute before it ends", async () => {
  const { made, waiting } = world(() => login);
  await createSessions(made).login("ann", "long enough");
  expect(waiting().map((plan) => plan.ms)).toEqual([14 * MINUTE]);
});

test("renewing is never a busy loop", () => {
  expect(renewIn(15 * MINUTE, 0)).toBe(14 * MINUTE);
  expect(renewIn(20_000, 0)).toBe(10_000);
  expect(renewIn(0, MINUTE)).toBe(1_000);
});

test("tabs that renew together use the refresh token once", async () => {
  const renewed = tokenFor(30 * MINUTE);
  const { made, calls, at } = world((path) =>
    path.endsWith("refresh") ? { status: 200, body: { token: renewed } } : login,
  );
  const one = createSessions(made);
  await one.login("ann", "long enough");
  const two = createSessions(made);
  at(15 * MINUTE);
  expect(await Promise.all([one.token(), two.token(), two.token()])).toEqual(
    Array(3).fill(renewed),
  );
  expect(calls.filter((path) => path.endsWith("refresh"))).toHaveLength(1);
});

test("a refused refresh signs out, a server that is away does not", async () => {
  let status = 0;
  const { made, waiting, shared } = world((path) => {
    if (!path.endsWith("refresh")) return login;
    return status === 0 ? new Error("away") : { status, body: {} };
  });
  const here = createSessions(made);
  await here.login("ann", "long enough");
  await expect(here.renew(login.body.token)).rejects.toThrow("cannot be reached");
  expect(here.current.get()?.username).toBe("ann");
  expect(waiting()).toHaveLength(1);
  status = 401;
  expect(await here.renew(login.body.token)).toBeUndefined();
  expect(here.current.get()).toBeUndefined();
  expect(shared.size).toBe(0);
  expect(waiting()).toHaveLength(0);
});

test("another tab's signing out is this tab's too", async () => {
  const { made, shared } = world(() => login);
  const here = createSessions(made);
  await here.login("ann", "long enough");
  shared.clear();
  here.adopt();
  expect(here.current.get()).toBeUndefined();
});

test("too many tries are told with the time to wait", async () => {
  const { made } = world(() => ({ status: 429, body: {}, retryAfter: 12 }));
  await expect(createSessions(made).login("ann", "x")).rejects.toThrow("in 12 s");
});

test("an error that comes with status 200, as in the original, is an error", async () => {
  const body = { error: true, message: "Invalid username or password" };
  const { made } = world(() => ({ status: 200, body }));
  await expect(createSessions(made).login("ann", "x")).rejects.toThrow("Invalid username");
});

test("a clock that is wrong does not make a token end early", async () => {
  const body = { ...login.body, expires_in: 900 };
  const { made, waiting, at, calls } = world(() => ({ status: 200, body }));
  at(60 * MINUTE);
  const here = createSessions(made);
  await here.login("ann", "long enough");
  expect(waiting().map((plan) => plan.ms)).toEqual([14 * MINUTE]);
  expect(await createSessions(made).token()).toBe(login.body.token);
  expect(calls).toHaveLength(1);
});

test("names are not only ASCII", async () => {
  const { made } = world(() => ({ status: 200, body: { token: tokenFor(MINUTE, "Zoë 🎉") } }));
  const here = createSessions(made);
  await here.login("Zoë 🎉", "long enough");
  expect(here.current.get()?.username).toBe("Zoë 🎉");
});
