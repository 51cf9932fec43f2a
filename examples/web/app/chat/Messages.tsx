import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Button, useNow } from "../ui/controls.tsx";
import { DownIcon } from "../ui/icons.tsx";
import { Latest, type Said } from "../ui/Latest.tsx";
import { VirtualList, type ListHandle } from "../ui/VirtualList.tsx";
import type { OpenRoom } from "./chat.ts";
import { MessageRow } from "./MessageRow.tsx";
import styles from "./Messages.module.css";
import { cursor, settle, type Room } from "./room.ts";
import { DIVIDER, timeline, typingLine } from "./timeline.ts";

/** The room's messages, who is typing, and the way to what is new. */
export function Messages({ open, room, me }: { open: OpenRoom; room: Room; me: string }) {
  const list = useRef<ListHandle>(null);
  const [atEnd, setAtEnd] = useState(true);
  const day = useNow(60_000);
  const rows = useMemo(() => timeline(room, me, day), [room, me, day]);
  const last = cursor(room);
  const newer = useNewer(room, me, atEnd);
  const said = useSaid(room, me);

  useEffect(() => open.atEnd(atEnd), [open, atEnd]);

  // What is on the screen counts as read, as long as somebody can look at it.
  useEffect(() => {
    if (!atEnd) return;
    const seen = () => document.visibilityState === "visible" && open.seen();
    seen();
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, [open, last, atEnd, room.joined]);

  const opened = useRef(false);
  useEffect(() => {
    if (opened.current || room.messages.length === 0) return;
    opened.current = true;
    if (rows.some((row) => row.key === DIVIDER)) list.current?.toRow(DIVIDER);
  }, [room.messages.length, rows]);

  // Who writes wants to see it.
  const own = room.outgoing.length;
  useEffect(() => {
    if (own > 0) list.current?.toEnd();
  }, [own]);

  const older = useCallback(() => open.older(), [open]);

  return (
    <div className={styles.area}>
      <HistoryLine room={room} />
      <VirtualList
        ref={list}
        rows={rows}
        label={`Messages in ${room.name}`}
        onStart={older}
        onEnd={setAtEnd}
      >
        {(row) => <MessageRow row={row} room={room} me={me} open={open} />}
      </VirtualList>
      {!atEnd && (
        <Button className={styles.jump ?? ""} small onClick={() => list.current?.toEnd()}>
          <DownIcon />
          {newer > 0 ? `${newer} new` : "Newest"}
        </Button>
      )}
      <Typing room={room} />
      <Latest said={said} />
    </div>
  );
}

/** How many messages of others came since the end of the list was last seen. */
function useNewer(room: Room, me: string, atEnd: boolean): number {
  const [seen, setSeen] = useState(-1);
  const last = cursor(room);
  useEffect(() => {
    if (atEnd) setSeen(last);
  }, [atEnd, last]);
  if (atEnd) return 0;
  return room.messages.filter((each) => each.offset > seen && each.sender !== me).length;
}

function HistoryLine({ room }: { room: Room }) {
  if (room.history === "loading" && room.messages.length === 0) {
    return <p className={styles.history}>Loading what was said before…</p>;
  }
  if (room.history !== "delayed") return null;
  return (
    <p className={styles.history} role="status">
      The history is delayed. New messages come as ever.
    </p>
  );
}

function Typing({ room }: { room: Room }) {
  const now = useNow(500, Object.keys(room.typing).length > 0);
  const names = Object.values(settle(room, now).typing).map((each) => each.name);
  return (
    <p className={styles.typing} aria-live="polite">
      {typingLine(names)}
    </p>
  );
}

/** The last message, if it is of somebody else and came after the room was shown. */
function useSaid(room: Room, me: string): Said | undefined {
  const [from, setFrom] = useState<number>();
  const last = room.messages.at(-1);
  const ready = room.history === "complete" || room.history === "more";
  useEffect(() => {
    if (ready) setFrom((known) => known ?? last?.offset ?? -1);
  }, [ready, last]);
  if (last === undefined || from === undefined || last.offset <= from) return undefined;
  if (last.sender === me) return undefined;
  return { id: last.id, name: last.senderName, text: last.content };
}
