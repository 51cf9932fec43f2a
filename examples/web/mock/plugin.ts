import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";
import { WebSocketServer } from "ws";
import { chatHttp, chatSocket } from "./chat.ts";
import { dmHttp, dmSocket } from "./dm.ts";
import { unsentHttp, unsentLive } from "./unsent.ts";
import { nameOf, type Reply } from "./people.ts";

/** The servers' part, played from memory, so that the pages can be worked on alone. */
export function mock(): Plugin {
  return {
    name: "mock",
    configureServer(server) {
      const sockets = new WebSocketServer({ noServer: true });
      server.httpServer?.on("upgrade", (request, socket, head) => {
        const url = new URL(request.url ?? "/", "http://here");
        const name = url.searchParams.get("ticket") ?? "";
        const serve = { "/ws/chat": chatSocket, "/dm/api/ws": dmSocket }[url.pathname];
        if (serve === undefined) return;
        sockets.handleUpgrade(request, socket, head, (opened) => serve(opened, name));
      });
      server.middlewares.use((request, response, next) => {
        void answer(request, response).then((done) => done || next());
      });
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const url = new URL(request.url ?? "/", "http://here");
  const body = await readBody(request);
  const call = { method: request.method ?? "GET", url, body, me: nameOf(request.headers) };
  if (url.pathname === "/unsent/api/live") {
    unsentLive(response);
    return true;
  }
  const reply: Reply | undefined = chatHttp(call) ?? dmHttp(call) ?? unsentHttp(call);
  if (reply === undefined) return false;
  response.writeHead(reply.status ?? 200, { "content-type": "application/json" });
  response.end(JSON.stringify(reply.body));
  return true;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.method === "GET") return {};
  let text = "";
  for await (const chunk of request) text += String(chunk);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
