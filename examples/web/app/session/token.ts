/** What the pages read of an access token. Its signature is the servers' business. */
export interface Claims {
  userId: string;
  username: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export function readToken(token: string): Claims | undefined {
  try {
    const body = token.split(".")[1] ?? "";
    const base64 = body.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const { userID, username, exp } = claims;
    if (typeof userID !== "string" || typeof username !== "string") return undefined;
    if (typeof exp !== "number") return undefined;
    return { userId: userID, username, expiresAt: exp * 1000 };
  } catch {
    return undefined;
  }
}

const EARLY_MS = 60_000;

/**
 * How long to wait before a token is renewed: until a minute before it ends, or for half of what
 * is left when that is later, and never less than a second, so that no clock makes a busy loop.
 */
export function renewIn(expiresAt: number, now: number): number {
  const left = expiresAt - now;
  return Math.max(1_000, Math.max(left - EARLY_MS, left / 2));
}

/** Whether a token can be used for a while from now. */
export function isFresh(expiresAt: number, now: number, leastMs = 5_000): boolean {
  return expiresAt - now > leastMs;
}
