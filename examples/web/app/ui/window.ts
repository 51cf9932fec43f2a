/** Which rows of a long list are near the part that is seen. Pure. */

/** So many heights of rows that are no more may be remembered. */
export const FORGOTTEN_MAX = 1_000;

/** The top of each row, and the end of the last: measured heights where known, else the guess. */
export function tops(
  keys: readonly string[],
  heights: ReadonlyMap<string, number>,
  guess: number,
): Float64Array {
  const found = new Float64Array(keys.length + 1);
  let top = 0;
  keys.forEach((key, index) => {
    found[index] = top;
    top += heights.get(key) ?? guess;
  });
  found[keys.length] = top;
  return found;
}

/** The last row whose top is at or above `y`. */
export function rowAt(at: Float64Array, y: number): number {
  let low = 0;
  let high = Math.max(0, at.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((at[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Rows from `first` up to, and not including, `end`. */
export function seenRows(
  at: Float64Array,
  scrollTop: number,
  height: number,
  around: number,
): { first: number; end: number } {
  const count = at.length - 1;
  if (count <= 0) return { first: 0, end: 0 };
  const first = rowAt(at, Math.max(0, scrollTop - around));
  const end = Math.min(count, rowAt(at, scrollTop + height + around) + 1);
  return { first, end };
}

/** Forgets the heights of rows that are no more, once there are many of those. */
export function forget(keys: readonly string[], heights: Map<string, number>): void {
  if (heights.size <= keys.length + FORGOTTEN_MAX) return;
  const here = new Set(keys);
  for (const key of heights.keys()) if (!here.has(key)) heights.delete(key);
}
