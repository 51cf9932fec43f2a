import { createStore, type Store } from "../lib/store.ts";
import { isFresh, readToken, renewIn } from "./token.ts";

/** Who is signed in here. */
export interface Session {
  token: string;
  userId: string;
  username: string;
  expiresAt: number;
}

/** What the session needs of the world; tests bring their own. */
export interface SessionWorld {
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  post(path: string, body: object | undefined, token?: string): Promise<Answer>;
  /** Runs one at a time over all tabs: a refresh token is used once, or it is taken for stolen. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  now(): number;
  later(work: () => void, ms: number): () => void;
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
  /** Seconds, when the server asks to wait. */
  retryAfter?: number;
}

/** A request that the server refused, in words for the person. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TOKEN = "go-chat-token";
const USER = "go-chat-userId";
/** When the token ends by the clock of this browser, which may be wrong. */
const UNTIL = "go-chat-until";
const AGAIN_MS = 5_000;

export interface Sessions {
  /** Undefined when nobody is signed in. */
  readonly current: Store<Session | undefined>;
  signup(username: string, password: string): Promise<void>;
  login(username: string, password: string): Promise<void>;
  logout(): Promise<void>;
  /**
   * A token that is good for so long from now, renewed if need be; undefined when nobody is signed
   * in (any more).
   */
  token(leastMs?: number): Promise<string | undefined>;
  /** Renews the token that a server has just refused. */
  renew(refused: string): Promise<string | undefined>;
  /** Takes over what another tab has stored. */
  adopt(): void;
}

export function createSessions(world: SessionWorld): Sessions {
  const current = createStore(stored());
  let stopTimer = () => {};
  let renewing: Promise<string | undefined> | undefined;
  plan();

  function stored(): Session | undefined {
    const token = world.storage.getItem(TOKEN);
    const claims = token === null ? undefined : readToken(token);
    if (token === null || claims === undefined) return undefined;
    const until = Number(world.storage.getItem(UNTIL) ?? NaN);
    return { token, ...claims, ...(Number.isFinite(until) ? { expiresAt: until } : {}) };
  }

  function keep(body: Answer["body"]): string {
    const token = String(body["token"]);
    const claims = readToken(token);
    if (claims === undefined) throw new Refused(502, "The server's answer makes no sense.");
    const seconds = body["expires_in"];
    const until =
      typeof seconds === "number" ? world.now() + seconds * 1000 : claims.expiresAt;
    world.storage.setItem(UNTIL, String(until));
    world.storage.setItem(USER, claims.userId);
    world.storage.setItem(TOKEN, token);
    current.update(() => ({ token, ...claims, expiresAt: until }));
    plan();
    return token;
  }

  function forget(): void {
    world.storage.removeItem(TOKEN);
    world.storage.removeItem(USER);
    world.storage.removeItem(UNTIL);
    adopt();
  }

  function adopt(): void {
    const found = stored();
    current.update((known) => (found?.token === known?.token ? known : found));
    plan();
  }

  function plan(): void {
    stopTimer();
    const session = current.get();
    if (session === undefined) return;
    const wait = renewIn(session.expiresAt, world.now());
    stopTimer = world.later(() => void renew(session.token), wait);
  }

  function renew(old: string): Promise<string | undefined> {
    renewing ??= world.alone(() => renewAlone(old)).finally(() => (renewing = undefined));
    return renewing;
  }

  async function renewAlone(old: string): Promise<string | undefined> {
    // Another tab may have renewed it, or signed out, while this one waited for its turn.
    const found = stored();
    if (found === undefined) return adopt(), undefined;
    if (found.token !== old && isFresh(found.expiresAt, world.now())) return adopt(), found.token;
    let answer: Answer;
    try {
      answer = await world.post("/api/auth/refresh", undefined);
    } catch {
      answer = { status: 0, body: {} };
    }
    if (answer.status === 200 && "token" in answer.body) return keep(answer.body);
    if (answer.status === 401 || answer.status === 403) return forget(), undefined;
    // No server, or one in trouble: the session is not over for that.
    stopTimer();
    stopTimer = world.later(() => void renew(old), AGAIN_MS);
    throw new Refused(answer.status, "The server cannot be reached.");
  }

  async function ask(path: string, username: string, password: string): Promise<Answer> {
    const answer = await world.post(path, { username, password });
    if (answer.status >= 400 || answer.body["error"] === true) throw refusal(answer);
    return answer;
  }

  return {
    current,
    adopt,
    renew,
    async signup(username, password) {
      await ask("/api/auth/signup", username, password);
    },
    async login(username, password) {
      const { body } = await ask("/api/auth/login", username, password);
      keep(body);
    },
    async logout() {
      const session = current.get();
      forget();
      if (session !== undefined) await world.post("/api/auth/logout", undefined, session.token);
    },
    async token(leastMs) {
      const session = current.get();
      if (session === undefined) return undefined;
      const fresh = isFresh(session.expiresAt, world.now(), leastMs);
      return fresh ? session.token : renew(session.token);
    },
  };
}

/** The server's own words where it has some. */
export function refusal(answer: Answer): Refused {
  if (answer.status === 429) {
    const wait = answer.retryAfter;
    const when = wait === undefined ? "a little later" : `in ${wait} s`;
    return new Refused(429, `Too many tries. Please try again ${when}.`);
  }
  const message = answer.body["message"];
  const words = typeof message === "string" && message !== "" ? message : "That did not work.";
  return new Refused(answer.status, words);
}
