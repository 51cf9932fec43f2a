const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/** 14:05 */
export function timeOfDay(ms: number): string {
  return clock.format(ms);
}

/** The whole of it, for titles. */
export function wholeTime(ms: number): string {
  return full.format(ms);
}

/** The local day a time lies in, as a number that grows by one each day. */
export function dayOf(ms: number): number {
  const at = new Date(ms);
  return Math.floor(Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / 86_400_000);
}

/** Today, Yesterday, Tuesday, 3 March 2026. */
export function dayName(ms: number, now: number): string {
  const ago = dayOf(now) - dayOf(ms);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  return ago > 1 && ago < 7 ? weekday.format(ms) : date.format(ms);
}

/** now, 5 min, 3 h, 2 d: how long ago. */
export function ago(ms: number, now: number): string {
  const minutes = Math.floor((now - ms) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / (24 * 60))} d`;
}

/** Servers give times as milliseconds since 1970. */
export function toMillis(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}
