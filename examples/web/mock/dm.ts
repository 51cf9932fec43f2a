import type { WebSocket } from "ws";
import type { Call, Reply } from "./people.ts";

interface Message {
  message_id: string;
  sender_id: string;
  reciever_id: string;
  payload: string;
  created_at: number;
  client_msg_id: string | undefined;
  status: "NONE" | "SENT" | "DELIVERED";
}

const PODS = ["pod-1", "pod-2", "pod-3"];
const messages: Message[] = [];
const sockets = new Map<WebSocket, { name: string; pod: string }>();
const hops: object[] = [];
let mode = "pod-id";
const redundant: Record<string, number> = { "pod-id": 0, broadcast: 0, "single-topic": 0 };

store("mia", "ann", "Lunch?", 90);
store("ann", "mia", "Gladly. At one?", 80);
store("zoe", "ann", "See https://example.org/plan 🗺️", 20);
store("mia", "noah", "Are you coming, too?", 10);

function store(from: string, to: string, payload: string, ago = 0, clientId?: string): Message {
  const message: Message = {
    message_id: `d-${messages.length}`,
    sender_id: from,
    reciever_id: to,
    payload,
    created_at: Date.now() - ago * 60_000,
    client_msg_id: clientId,
    status: ago > 0 ? "DELIVERED" : "NONE",
  };
  messages.push(message);
  return message;
}

export function dmHttp({ method, url, body, me }: Call): Reply | undefined {
  const data = (found: unknown): Reply => ({ body: { success: true, message: "", data: found } });
  switch (`${method} ${url.pathname}`) {
    case "GET /dm/api/conversations":
      return data(people(me));
    case "GET /dm/api/messages": {
      const other = url.searchParams.get("with");
      const before = url.searchParams.get("before");
      const until = before === null ? messages.length : Number(before);
      const found = messages
        .map((each, place) => ({ ...each, cursor: String(place) }))
        .slice(0, until)
        .filter(
          (each) =>
            [each.sender_id, each.reciever_id].includes(me) &&
            [each.sender_id, each.reciever_id].includes(other ?? ""),
        );
      return data(found);
    }
    case "GET /dm/api/auth/users":
      return data({ username: url.searchParams.get("username") });
    case "GET /dm/api/pods":
      return data({ mode, modes: Object.keys(redundant), pods: PODS.map(pod), hops, redundant });
    case "POST /dm/api/mode":
      mode = String(body["mode"]);
      return data({ mode });
    default:
      return undefined;
  }
}

function people(me: string): object[] {
  const names = new Set(["noah", "zoe"]);
  for (const each of messages) {
    if (each.sender_id === me) names.add(each.reciever_id);
    if (each.reciever_id === me) names.add(each.sender_id);
  }
  names.delete(me);
  return [...names].map((username) => {
    const online = [...sockets.values()].some((each) => each.name === username);
    const last = messages.findLast((each) =>
      [each.sender_id, each.reciever_id].every((one) => [username, me].includes(one)),
    );
    return { username, online, last_message: last?.payload, last_at: last?.created_at };
  });
}

function pod(pod_id: string): object {
  const users = [...sockets.values()].filter((each) => each.pod === pod_id);
  return { pod_id, alive: true, users: users.map((each) => each.name) };
}

export function dmSocket(socket: WebSocket, name: string): void {
  const pod = PODS[sockets.size % PODS.length] ?? "pod-1";
  sockets.set(socket, { name, pod });
  socket.send(JSON.stringify({ type: "hello", pod_id: pod }));
  for (const message of messages) {
    if (message.reciever_id === name && message.status !== "DELIVERED") deliver(message);
  }
  socket.on("close", () => sockets.delete(socket));
  socket.on("message", (raw) => {
    const frame = JSON.parse(String(raw)) as Record<string, unknown>;
    if (frame["type"] === "ack") {
      const found = messages.find((each) => each.message_id === frame["message_id"]);
      return found && tell(found, "DELIVERED");
    }
    if (typeof frame["payload"] !== "string") return;
    const to = String(frame["reciever_id"]);
    const clientId = String(frame["client_msg_id"]);
    const message = store(name, to, frame["payload"], 0, clientId);
    tell(message, "NONE");
    const there = [...sockets.values()].find((each) => each.name === to);
    const { message_id, sender_id, reciever_id } = message;
    const to_pod = there?.pod ?? "";
    hops.unshift({ message_id, sender_id, reciever_id, from_pod: pod, to_pod, took_ms: 4 });
    if (mode !== "pod-id") redundant[mode] = (redundant[mode] ?? 0) + PODS.length - 1;
    if (there !== undefined) {
      tell(message, "SENT");
      deliver(message);
    }
  });
}

function deliver(message: Message): void {
  const { payload, client_msg_id: _, ...rest } = message;
  to(message.reciever_id, { message: payload, ...rest });
}

function tell(message: Message, status: Message["status"]): void {
  message.status = status;
  const { message_id, client_msg_id } = message;
  to(message.sender_id, { type: "status", message_id, client_msg_id, status, at: Date.now() });
}

function to(name: string, frame: object): void {
  for (const [socket, each] of sockets) if (each.name === name) socket.send(JSON.stringify(frame));
}
