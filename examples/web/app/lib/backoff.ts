const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * How long to wait before try `attempt`, counted from 0: twice as long each time up to a ceiling,
 * and half of it by chance, so that those who lost a server together do not return together.
 */
export function backoff(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return Math.round(ceiling / 2 + (random() * ceiling) / 2);
}
