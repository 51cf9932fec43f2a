import type { IncomingHttpHeaders } from "node:http";

export interface Call {
  method: string;
  url: URL;
  body: Record<string, unknown>;
  /** Who asks, by the name in the token. */
  me: string;
}

export interface Reply {
  status?: number;
  body: unknown;
}

/** A token that pages can read. Nobody checks its signature. */
export function tokenFor(username: string): string {
  const claims = { userID: username, username, exp: Math.floor(Date.now() / 1000) + 900 };
  return `mock.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.mock`;
}

export function nameOf(headers: IncomingHttpHeaders): string {
  const token = headers.authorization?.split(" ")[1]?.split(".")[1] ?? "";
  try {
    const claims = JSON.parse(Buffer.from(token, "base64url").toString()) as { username: string };
    return claims.username;
  } catch {
    return "";
  }
}
