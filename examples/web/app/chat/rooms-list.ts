import { useEffect, useState } from "react";
import { api } from "../session/here.ts";
import { toMillis } from "../lib/time.ts";

/** A room as the list of rooms has it. */
export interface Listed {
  room: string;
  membersOnline: number;
  unread: number;
  last: { name: string; text: string; at: number } | undefined;
}

export const POLL_MS = 3_000;

/** The rooms, those with news first; undefined until they are known. */
export function useRooms(): { rooms: Listed[] | undefined; problem: string | undefined } {
  const [rooms, setRooms] = useState<Listed[]>();
  const [problem, setProblem] = useState<string>();

  useEffect(() => {
    let over = false;
    async function load() {
      if (document.hidden) return;
      try {
        const body = await api("GET", "/api/rooms");
        if (over) return;
        setRooms(readRooms(body["list"], Date.now()));
        setProblem(undefined);
      } catch {
        if (!over) setProblem("The rooms cannot be loaded just now.");
      }
    }
    void load();
    const timer = setInterval(load, POLL_MS);
    document.addEventListener("visibilitychange", load);
    return () => {
      over = true;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", load);
    };
  }, []);

  return { rooms, problem };
}

export function readRooms(raw: unknown, now: number): Listed[] {
  if (!Array.isArray(raw)) return [];
  const listed = (raw as Record<string, unknown>[]).map((each) => {
    const last = each["last_message"] as Record<string, unknown> | null | undefined;
    return {
      room: String(each["room"] ?? ""),
      membersOnline: Number(each["members_online"] ?? 0),
      unread: Number(each["unread"] ?? 0),
      last:
        typeof last === "object" && last !== null
          ? {
              name: String(last["senderName"] ?? ""),
              text: String(last["content"] ?? ""),
              at: toMillis(last["created_at"], now),
            }
          : undefined,
    };
  });
  const when = (each: Listed) => each.last?.at ?? 0;
  return listed.sort((a, b) => when(b) - when(a) || a.room.localeCompare(b.room));
}
