import { expect, test } from "vitest";
import { listen, type Source } from "./events.ts";

/** A source that does what the test says, and remembers who listens. */
class Fake implements Source {
  readyState = 0;
  onopen: Source["onopen"] = null;
  onerror: Source["onerror"] = null;
  kinds = new Map<string, (event: Event) => void>();
  constructor(readonly address: string) {}
  addEventListener(kind: string, take: unknown): void {
    this.kinds.set(kind, take as (event: Event) => void);
  }
  close(): void {
    this.readyState = 2;
  }
  opens(): void {
    this.readyState = 1;
    this.onopen?.call(this as never, new Event("open"));
  }
  /** It breaks; the browser reconnects by itself, or gives up. */
  breaks(givesUp: boolean): void {
    this.readyState = givesUp ? 2 : 0;
    this.onerror?.call(this as never, new Event("error"));
  }
}

function stage() {
  const sources: Fake[] = [];
  const waits: { work: () => void; ms: number }[] = [];
  const live: boolean[] = [];
  const heard: string[] = [];
  let tickets = 0;
  let refuses = false;
  const events = listen(
    {
      address: () =>
        refuses ? Promise.reject(new Error("nobody")) : Promise.resolve(`/live?ticket=${tickets++}`),
      open(address) {
        const source = new Fake(address);
        sources.push(source);
        return source;
      },
      later(work, ms) {
        const wait = { work, ms };
        waits.push(wait);
        return () => void waits.splice(waits.indexOf(wait), 1);
      },
      random: () => 0,
    },
    { live: (is) => void live.push(is), on: { change: (data) => void heard.push(data) } },
  );
  const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
  async function waited(): Promise<void> {
    waits.shift()?.work();
    await settled();
  }
  const refuse = (is: boolean) => void (refuses = is);
  return { sources, waits, live, heard, events, settled, waited, refuse };
}

test("a source that the browser gave up is opened again, with a new ticket", async () => {
  const { sources, waits, live, heard, settled, waited } = stage();
  await settled();
  sources[0]!.opens();
  sources[0]!.breaks(true);
  expect(live).toEqual([true, false, false]);
  expect(waits).toHaveLength(1);
  await waited();
  expect(sources.map((source) => source.address)).toEqual(["/live?ticket=0", "/live?ticket=1"]);
  sources[1]!.opens();
  expect(live.at(-1)).toBe(true);
  sources[1]!.kinds.get("change")!(new MessageEvent("change", { data: "news" }));
  expect(heard).toEqual(["news"]);
});

test("a source that the browser reconnects itself is left to it", async () => {
  const { sources, waits, live, settled } = stage();
  await settled();
  sources[0]!.opens();
  sources[0]!.breaks(false);
  expect(live).toEqual([true, false]);
  expect(waits).toHaveLength(0);
});

test("who is refused again and again waits longer each time, and not after a success", async () => {
  const { sources, waits, settled, waited, refuse } = stage();
  await settled();
  sources[0]!.breaks(true);
  const first = waits[0]!.ms;
  refuse(true);
  await waited();
  expect(waits[0]!.ms).toBeGreaterThan(first);
  refuse(false);
  await waited();
  sources[1]!.opens();
  sources[1]!.breaks(true);
  expect(waits[0]!.ms).toBe(first);
});

test("closed, nothing is opened any more", async () => {
  const { sources, waits, events, settled } = stage();
  await settled();
  sources[0]!.breaks(true);
  events.close();
  expect(waits).toHaveLength(0);
  expect(sources).toHaveLength(1);
});
