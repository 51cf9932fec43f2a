const EVERY_MS = 16;

/**
 * Hands things on at once when they come rarely, and together, a screen's refresh apart, when they
 * come in a rush.
 */
export function coalesce<T>(handOn: (things: T[]) => void): (thing: T) => void {
  let waiting: T[] = [];
  let last = -Infinity;
  let planned = false;

  function flush(): void {
    planned = false;
    last = performance.now();
    const things = waiting;
    waiting = [];
    handOn(things);
  }

  return (thing) => {
    waiting.push(thing);
    if (planned) return;
    const since = performance.now() - last;
    if (since >= EVERY_MS) return flush();
    planned = true;
    setTimeout(flush, EVERY_MS - since);
  };
}
