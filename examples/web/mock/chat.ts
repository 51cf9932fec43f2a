import type { WebSocket } from "ws";
import { tokenFor, type Call, type Reply } from "./people.ts";

interface Message {
  id: string;
  room: string;
  sender: string;
  senderName: string;
  content: string;
  server: string;
  offset: number;
  created_at: number;
  client_msg_id?: string;
}

const EPOCH = String(Date.now());
const SERVERS = ["Asia", "Middle-east", "Europe"];
const log: Message[] = [];
const reads = new Map<string, number>();
const members = new Map<string, Set<string>>();
const open = new Map<WebSocket, { name: string; server: string }>();
let asleep = false;

for (let n = 0; n < 10_000; n += 1) seed("long", n % 7 < 4 ? "mia" : "noah", `Message number ${n}`, n);
seed("general", "mia", "Did anyone try the new build?", 90);
seed("general", "mia", "It starts in half a second here 🚀", 89);
seed("general", "noah", "Works for me. Notes are at https://example.org/notes", 60);
seed("general", "noah", "Long lines wrap, too: " + "the quick brown fox jumps over the lazy dog ".repeat(4), 59);
seed("general", "SuperChat", "Three servers share one log. Whatever is in it has an order, and that is the order everybody sees.", 30);
seed("coffee", "zoe", "☕?", 300);

function seed(room: string, name: string, content: string, minutesAgo: number): void {
  append(room, name, content, SERVERS[log.length % 3] ?? "", undefined, minutesAgo);
  if (name !== "SuperChat") memberOf(room).add(name);
}

function append(
  room: string,
  name: string,
  content: string,
  server: string,
  clientId?: string,
  minutesAgo = 0,
): Message {
  const created_at = Date.now() - minutesAgo * 60_000;
  const offset = log.length;
  const message: Message = {
    id: `m-${offset}`, room, sender: name, senderName: name, content, server, offset, created_at,
  };
  if (clientId !== undefined) message.client_msg_id = clientId;
  log.push(message);
  return message;
}

function memberOf(room: string): Set<string> {
  const known = members.get(room) ?? new Set<string>();
  members.set(room, known);
  return known;
}

export function chatHttp({ method, url, body, me }: Call): Reply | undefined {
  const room = /^\/api\/rooms\/([^/]+)\/messages$/.exec(url.pathname)?.[1];
  if (room !== undefined) return { body: history(decodeURIComponent(room), url, me) };
  const looked = /^\/api\/rooms\/([^/]+)\/members$/.exec(url.pathname)?.[1];
  if (looked !== undefined) return { body: membersOf(decodeURIComponent(looked)) };
  switch (`${method} ${url.pathname}`) {
    case "POST /api/auth/signup":
      return { status: 201, body: { error: false, message: "Signup success" } };
    case "POST /api/auth/login":
    case "POST /api/auth/refresh": {
      const name = String(body["username"] ?? "");
      if (name === "") return { status: 401, body: { error: true, message: "Please log in." } };
      return { body: { error: false, message: "Login success", token: tokenFor(name) } };
    }
    case "POST /api/auth/logout":
      return { body: { error: false } };
    case "POST /api/ws-ticket":
      return { body: { ticket: me, expires_in: 30 } };
    case "POST /api/mock/sleep":
      asleep = body["asleep"] === true;
      return { body: {} };
    case "GET /api/rooms":
      return { body: [...members.keys()].map((name) => listed(name, me)) };
    default:
      return undefined;
  }
}

function membersOf(room: string): object[] {
  const here = (user: string) => [...open.values()].some((each) => each.name === user);
  return [...memberOf(room)].map((user) => ({ user, name: user, online: here(user) }));
}

function listed(room: string, me: string): object {
  const all = log.filter((message) => message.room === room);
  const read = reads.get(`${room} ${me}`) ?? -1;
  const unread = memberOf(room).has(me) ? all.filter((each) => each.offset > read).length : 0;
  const here = [...open.values()].filter((each) => memberOf(room).has(each.name)).length;
  return { room, members_online: here, unread, last_message: all.at(-1) ?? null };
}

function history(room: string, url: URL, me: string): object {
  const before = Number(url.searchParams.get("before") ?? Infinity);
  const messages = log
    .filter((message) => message.room === room && message.offset < before)
    .slice(-Number(url.searchParams.get("limit") ?? 50));
  return { error: false, messages, read_offset: reads.get(`${room} ${me}`) ?? log.length - 3 };
}

export function chatSocket(socket: WebSocket, name: string): void {
  const server = SERVERS[open.size % 3] ?? "Asia";
  open.set(socket, { name, server });
  const say = (frame: object) => socket.send(JSON.stringify(frame));
  say({ type: "hello", connection_id: "c", server, epoch: EPOCH, now: Date.now() });
  socket.on("close", () => open.delete(socket));
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data)) as Record<string, unknown>;
    const room = String(frame["room"] ?? "");
    switch (frame["type"]) {
      case "join_room": {
        memberOf(room).add(name);
        const members = membersOf(room);
        say({ type: "join_room", room, success: true, members, head_offset: log.length - 1 });
        tell({ type: "member_joined", room, user: name, name, server }, socket);
        return;
      }
      case "chat_message":
        return store(frame, room, name, server, say);
      case "typing":
        return tell({ type: "typing", room, user: name, name }, socket);
      case "read": {
        const offset = Number(frame["offset"]);
        reads.set(`${room} ${name}`, offset);
        return tell({ type: "read", room, users: { [name]: offset } });
      }
      case "ping":
        return say({ type: "pong" });
    }
  });
}

function store(
  frame: Record<string, unknown>,
  room: string,
  name: string,
  server: string,
  say: (frame: object) => void,
): void {
  const client_msg_id = String(frame["client_msg_id"]);
  if (asleep) {
    return say({ type: "message_failed", client_msg_id, code: "broker_unavailable", retryable: true });
  }
  const content = String(frame["content"]);
  const { id, offset, created_at } = append(room, name, content, server, client_msg_id);
  say({ type: "message_ack", client_msg_id, id, offset, created_at });
  tell({ type: "chat_message", ...log[offset] });
  if (content.startsWith("@superchat ")) answer(room, content.slice(11), server);
}

function answer(room: string, question: string, server: string): void {
  const words = `You said: ${question}. That is all I know, and I say it slowly.`.split(" ");
  const id = `m-answer-${log.length}`;
  const timer = setInterval(() => {
    const text = words.shift();
    if (text !== undefined) return tell({ type: "llm_delta", room, id, text: `${text} ` });
    clearInterval(timer);
    tell({ type: "llm_done", room, id });
    tell({ type: "chat_message", ...append(room, "SuperChat", `You said: ${question}.`, server) });
  }, 150);
}

function tell(frame: object, except?: WebSocket): void {
  for (const socket of open.keys()) if (socket !== except) socket.send(JSON.stringify(frame));
}
