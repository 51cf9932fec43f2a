import type { ServerResponse } from "node:http";
import type { Call, Reply } from "./people.ts";

interface Waiting {
  touser: string;
  fromuser: string;
  message: string;
  message_id: string;
  offset: number;
  at: number;
}

const listeners = new Set<ServerResponse>();
let waiting: Waiting[] = [];
let next = 0;
let cut = false;
const reads = { aux: 0, master: 0 };

write("bob", "alice", "Are you there?", 65);
write("bob", "alice", "I have the tickets 🎟️", 64);
write("bob", "carol", "Call me when you are back, please. It is about the garden and who waters it.", 30);
write("bob", "dave", "🎂", 3);

function write(touser: string, fromuser: string, message: string, ago = 0): Waiting {
  const offset = next++;
  const at = Date.now() - ago * 60_000;
  const one = { touser, fromuser, message, message_id: `u-${offset}`, offset, at };
  waiting.push(one);
  return one;
}

export function unsentLive(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("event: hello\ndata: {}\n\n");
  listeners.add(response);
  response.on("close", () => listeners.delete(response));
}

function changed(touser: string, fromuser: string): void {
  const none = { fromuser, count: 0, first_at: 0, last_at: 0, last_offset: -1, preview: "" };
  const sender = senders(touser).find((each) => each.fromuser === fromuser) ?? none;
  const data = JSON.stringify({ touser, ...sender });
  for (const each of listeners) each.write(`event: change\ndata: ${data}\n\n`);
}

function senders(touser: string) {
  const names = [...new Set(waiting.filter((w) => w.touser === touser).map((w) => w.fromuser))];
  return names.map((fromuser) => {
    const all = waiting.filter((each) => each.touser === touser && each.fromuser === fromuser);
    const last = all.at(-1);
    return {
      fromuser,
      count: all.length,
      first_at: all[0]?.at ?? 0,
      last_at: last?.at ?? 0,
      last_offset: last?.offset ?? -1,
      preview: last?.message ?? "",
    };
  });
}

export function unsentHttp({ method, url, body }: Call): Reply | undefined {
  if (!url.pathname.startsWith("/unsent/api/")) return undefined;
  const path = url.pathname.slice("/unsent/api".length);
  if (path === "/stats") {
    const off_master = reads.aux / Math.max(1, reads.aux + reads.master);
    const master = cut ? "cut" : "up";
    const { aux: reads_aux, master: reads_master } = reads;
    return { body: { reads_aux, reads_master, off_master, master, auxiliary: "up", changes: next } };
  }
  if (path === "/dev/cut-master") {
    cut = body["cut"] === true;
    return { body: { cut } };
  }
  if (path === "/messages" && method === "POST") {
    const one = write(String(body["touser"]), String(body["fromuser"]), String(body["message"]));
    changed(one.touser, one.fromuser);
    return { status: 202, body: { partition: 0, offset: one.offset, message_id: one.message_id } };
  }
  const [, touser, fromuser] = /^\/users\/([^/]+)\/unsent(?:\/([^/]+)(?:\/ack)?)?$/.exec(path) ?? [];
  if (touser === undefined) return undefined;
  reads.aux += 1;
  if (fromuser === undefined) {
    const all = senders(touser);
    return { body: { touser, total: all.length, senders: all, source: "aux", stale_ms: null } };
  }
  const mine = (each: Waiting) => each.touser === touser && each.fromuser === fromuser;
  if (method === "GET") return { body: waiting.filter(mine) };
  const upto_offset = Number(body["upto_offset"] ?? next);
  waiting = waiting.filter((each) => !mine(each) || each.offset > upto_offset);
  changed(touser, fromuser);
  return { status: 202, body: { touser, fromuser, upto_offset } };
}
