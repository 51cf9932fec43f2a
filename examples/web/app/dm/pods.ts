/** What `GET /pods` tells: which pods there are, who is where, and how messages went. */
export interface Pods {
  mode: string;
  modes: readonly string[];
  pods: readonly Pod[];
  hops: readonly Hop[];
  /** Events that reached a pod which had no use for them, by mode. */
  redundant: Readonly<Record<string, number>>;
}

export interface Pod {
  id: string;
  alive: boolean;
  users: readonly string[];
}

/** The way that a message took. */
export interface Hop {
  messageId: string;
  from: string;
  to: string;
  sender: string;
  receiver: string;
  tookMs: number | undefined;
}

type Fields = Record<string, unknown>;

export function readPods(raw: unknown): Pods {
  const data = (raw ?? {}) as Fields;
  return {
    mode: text(data["mode"]),
    modes: list(data["modes"]).map(text),
    pods: list(data["pods"]).map(readPod),
    hops: list(data["hops"]).map(readHop),
    redundant: Object.fromEntries(
      Object.entries((data["redundant"] ?? {}) as Fields).map(([mode, n]) => [mode, Number(n)]),
    ),
  };
}

function readPod(raw: unknown): Pod {
  const pod = raw as Fields;
  return {
    id: text(pod["pod_id"]),
    alive: pod["alive"] === true,
    users: list(pod["users"]).map(text),
  };
}

function readHop(raw: unknown): Hop {
  const hop = raw as Fields;
  const took = hop["took_ms"];
  return {
    messageId: text(hop["message_id"]),
    from: text(hop["from_pod"]),
    to: text(hop["to_pod"]),
    sender: text(hop["sender_id"]),
    receiver: text(hop["reciever_id"]),
    tookMs: typeof took === "number" ? took : undefined,
  };
}

function list(raw: unknown): unknown[] {
  return Array.isArray(raw) ? (raw as unknown[]) : [];
}

function text(raw: unknown): string {
  return typeof raw === "string" ? raw : "";
}
