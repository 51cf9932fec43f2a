import { createSessions, refusal, type Answer } from "./session.ts";

/** The session of this browser, shared by its tabs. */
export const sessions = createSessions({
  storage: localStorage,
  post: (path, body, token) => fetchJson("POST", path, body, token),
  alone: (work) =>
    // Locks exist on secure origins only; elsewhere tabs may renew at once, and the server sorts it out.
    navigator.locks === undefined ? work() : navigator.locks.request("klamm-session", work),
  now: () => Date.now(),
  later(work, ms) {
    const timer = setTimeout(work, Math.min(ms, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
});

addEventListener("storage", (event) => {
  if (event.key === null || event.key === "go-chat-token") sessions.adopt();
});

/** The body of the answer, for who is signed in; renews the token once if it is refused. */
export async function api(method: string, path: string, body?: object): Promise<Answer["body"]> {
  const token = await sessions.token();
  let answer = await fetchJson(method, path, body, token);
  if (answer.status === 401 && token !== undefined) {
    answer = await fetchJson(method, path, body, await sessions.renew(token));
  }
  if (answer.status >= 400) throw refusal(answer);
  return answer.body;
}

/** A ticket for one connection: it is in the address, so it must not be the token. */
export async function ticket(): Promise<string> {
  return String((await api("POST", "/api/ws-ticket"))["ticket"]);
}

/** The address of a WebSocket on the server that the page came from. */
export function socketAddress(path: string, withTicket: string): string {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${path}?ticket=${encodeURIComponent(withTicket)}`;
}

async function fetchJson(
  method: string,
  path: string,
  body?: object,
  token?: string,
): Promise<Answer> {
  const headers = new Headers();
  if (body !== undefined) headers.set("content-type", "application/json");
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const response = await fetch(path, {
    method,
    headers,
    credentials: "same-origin",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const wait = Number(response.headers.get("retry-after") ?? NaN);
  const parsed: unknown = await response.json().catch(() => ({}));
  return {
    status: response.status,
    // Lists come as they are; the rest of the page wants to look things up by name.
    body: Array.isArray(parsed) ? { list: parsed } : ((parsed ?? {}) as Answer["body"]),
    ...(Number.isFinite(wait) ? { retryAfter: wait } : {}),
  };
}
