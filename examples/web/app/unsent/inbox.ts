/** Who wrote to somebody while they were away. Pure. */
export interface Inbox {
  readonly touser: string;
  /** Those who wrote, the latest first. */
  readonly senders: readonly Sender[];
  /** Which store answered. */
  readonly source: string;
  /** How old the answer may be, if the store that gave it is behind. */
  readonly staleMs: number | undefined;
}

export interface Sender {
  fromuser: string;
  count: number;
  firstAt: number;
  lastAt: number;
  lastOffset: number;
  preview: string;
}

export interface Waiting {
  id: string;
  offset: number;
  at: number;
  text: string;
}

type Fields = Record<string, unknown>;

export function readInbox(raw: Fields): Inbox {
  const senders = Array.isArray(raw["senders"]) ? (raw["senders"] as Fields[]) : [];
  const stale = raw["stale_ms"];
  return {
    touser: String(raw["touser"] ?? ""),
    senders: sorted(senders.map(readSender)),
    source: String(raw["source"] ?? ""),
    staleMs: typeof stale === "number" ? stale : undefined,
  };
}

export function readSender(raw: Fields): Sender {
  return {
    fromuser: String(raw["fromuser"] ?? ""),
    count: Number(raw["count"] ?? 0),
    firstAt: Number(raw["first_at"] ?? 0),
    lastAt: Number(raw["last_at"] ?? 0),
    lastOffset: Number(raw["last_offset"] ?? -1),
    preview: String(raw["preview"] ?? ""),
  };
}

export function readWaiting(raw: Fields): Waiting {
  return {
    id: String(raw["message_id"] ?? ""),
    offset: Number(raw["offset"] ?? -1),
    at: Number(raw["at"] ?? 0),
    text: String(raw["message"] ?? ""),
  };
}

/** A change says how it is now, not what was added, so one that comes twice changes nothing. */
export function change(inbox: Inbox, touser: string, sender: Sender): Inbox {
  if (touser !== inbox.touser) return inbox;
  const known = inbox.senders.find((each) => each.fromuser === sender.fromuser);
  if (known !== undefined && sender.count > 0 && sender.lastOffset < known.lastOffset) return inbox;
  const others = inbox.senders.filter((each) => each.fromuser !== sender.fromuser);
  return { ...inbox, senders: sorted(sender.count > 0 ? [...others, sender] : others) };
}

/**
 * Up to where a card shows what waits: what comes behind that while a hand is on its way to a
 * button was seen by nobody. An open card has its messages a moment later than its number.
 */
export function shownUpto(sender: Sender, open: readonly Waiting[] | undefined): number {
  return Math.min(sender.lastOffset, open?.at(-1)?.offset ?? sender.lastOffset);
}

/** "While you were away: 3 people wrote to you" */
export function headline(senders: readonly Sender[]): string {
  if (senders.length === 0) return "Nobody wrote while you were away.";
  const people = senders.length === 1 ? "1 person" : `${senders.length} people`;
  return `While you were away: ${people} wrote to you`;
}

function sorted(senders: Sender[]): Sender[] {
  return senders.sort((a, b) => b.lastAt - a.lastAt || a.fromuser.localeCompare(b.fromuser));
}
