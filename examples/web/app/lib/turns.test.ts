import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTurns, SEND_MS, TOGETHER, type Turns } from "./turns.ts";

let waiting: string[];
let posted: string[];
let lost: string[];
let open: boolean;
let turns: Turns;

beforeEach(() => {
  vi.useFakeTimers();
  [waiting, posted, lost, open] = [[], [], [], true];
  turns = createTurns({
    waiting: () => waiting,
    post: (id) => open && posted.push(id) > 0,
    unanswered(id) {
      lost.push(id);
      waiting = waiting.filter((each) => each !== id);
    },
  });
});
afterEach(() => vi.useRealTimers());

function write(...ids: string[]): void {
  waiting = [...waiting, ...ids];
  turns.go();
}

function answer(id: string): void {
  waiting = waiting.filter((each) => each !== id);
  turns.go();
}

const many = Array.from({ length: TOGETHER + 1 }, (_, n) => `m${n}`);

test("a few go out together, each once", () => {
  write("a");
  write("b", "c");
  turns.go();
  expect(posted).toEqual(["a", "b", "c"]);
});

test("of many one is on its way at a time, up to the last", () => {
  write(...many);
  for (const [n, id] of many.entries()) {
    expect(posted).toEqual(many.slice(0, n + 1));
    answer(id);
  }
  write("a", "b");
  expect(posted.slice(-2)).toEqual(["a", "b"]);
});

test("behind one that was sent back all wait as long as the server says", () => {
  write("a", "b");
  turns.hold("b", 700);
  write("c");
  answer("a");
  vi.advanceTimersByTime(699);
  expect(posted).toEqual(["a", "b"]);
  vi.advanceTimersByTime(1);
  expect(posted).toEqual(["a", "b", "b"]);
  answer("b");
  expect(posted.at(-1)).toBe("c");
});

test("a wait that makes no sense is neither none nor for ever", () => {
  for (const [ms, wait] of [[-1, 100], [2 ** 60, 30_000]] as const) {
    waiting = ["a"];
    turns.begin();
    turns.hold("a", ms);
    vi.advanceTimersByTime(wait - 1);
    expect(posted.splice(0)).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    expect(posted.splice(0)).toEqual(["a"]);
  }
});

test("who waits for the turn is not late; who is not answered makes room", () => {
  write(...many);
  vi.advanceTimersByTime(SEND_MS);
  expect(lost).toEqual(["m0"]);
  expect(posted).toEqual(["m0", "m1"]);
});

test("a new connection begins with the first that was not answered, at once", () => {
  write("a", "b", "c");
  answer("a");
  turns.hold("b", 20_000);
  open = false;
  turns.begin();
  expect(posted.splice(0)).toEqual(["a", "b", "c"]);
  open = true;
  turns.begin();
  answer("b");
  expect(posted).toEqual(["b", "c"]);
});
