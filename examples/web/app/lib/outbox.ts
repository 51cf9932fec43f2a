/** What was written in this tab and is not stored yet: it outlives the page that shows it. */
export interface Outbox<Message> {
  load(): Message[];
  save(messages: readonly Message[]): void;
}

/** The part of a browser's store that is needed; one that a tab has for itself. */
export type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem">;

type Fields = Record<string, unknown>;

/** The messages under a name. What `read` does not know is left out: an older page wrote it. */
export function createOutbox<Message>(
  kept: Kept,
  name: string,
  read: (raw: Fields) => Message | undefined,
): Outbox<Message> {
  const key = `outbox:${name}`;
  let last: readonly Message[] = [];
  return {
    load() {
      const found = parse(() => kept.getItem(key)).map((raw) => read(raw ?? {}));
      last = found.filter((message) => message !== undefined);
      return [...last];
    },
    save(messages) {
      if (sameAs(last, messages)) return;
      last = messages;
      try {
        if (messages.length === 0) kept.removeItem(key);
        else kept.setItem(key, JSON.stringify(messages));
      } catch {
        // A store that is full, or closed to this page: they last as long as the page.
      }
    },
  };
}

function sameAs(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((message, place) => message === other[place]);
}

function parse(text: () => string | null): Fields[] {
  try {
    const found: unknown = JSON.parse(text() ?? "[]");
    return Array.isArray(found) ? (found as Fields[]) : [];
  } catch {
    return [];
  }
}
