import { expect, test } from "vitest";
import { FORGOTTEN_MAX, forget, rowAt, seenRows, tops } from "./window.ts";

const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}`);

test("heights are guessed until they are measured", () => {
  const at = tops(["a", "b", "c"], new Map([["b", 10]]), 40);
  expect([...at]).toEqual([0, 40, 50, 90]);
});

test("the row at a place", () => {
  const at = tops(["a", "b", "c"], new Map(), 10);
  expect([0, 9, 10, 29, 30, 999].map((y) => rowAt(at, y))).toEqual([0, 0, 1, 2, 2, 2]);
});

test("of ten thousand rows few are drawn", () => {
  const at = tops(keys, new Map(), 50);
  const { first, end } = seenRows(at, 250_000, 800, 400);
  expect([first, end]).toEqual([4992, 5025]);
});

test("no row, no window", () => {
  expect(seenRows(tops([], new Map(), 50), 0, 800, 400)).toEqual({ first: 0, end: 0 });
});

test("heights of rows that are no more are forgotten", () => {
  const heights = new Map(keys.map((key) => [key, 50]));
  forget(keys.slice(FORGOTTEN_MAX), heights);
  expect(heights.size).toBe(keys.length);
  forget(keys.slice(-10), heights);
  expect([...heights.keys()]).toEqual(keys.slice(-10));
});
