import { Link } from "react-router";
import { ago } from "../lib/time.ts";
import { Avatar, Badge, useNow } from "../ui/controls.tsx";
import styles from "./RoomList.module.css";
import { useRooms } from "./rooms-list.ts";

/** All rooms, with what is new in each. */
export function RoomList({ current }: { current?: string }) {
  const { rooms, problem } = useRooms();
  const now = useNow(30_000);
  if (rooms === undefined) return <p className={styles.empty}>{problem ?? "Loading the rooms…"}</p>;
  if (rooms.length === 0) {
    return <p className={styles.empty}>No room yet. Enter a name, and it is there.</p>;
  }
  return (
    <ul className={styles.list}>
      {rooms.map((each) => (
        <li key={each.room}>
          <Link
            className={styles.room}
            to={`/chat?room=${encodeURIComponent(each.room)}`}
            aria-current={each.room === current ? "page" : undefined}
          >
            <Avatar name={each.room} size={40} />
            <span className={styles.words}>
              <span className={styles.name}>{each.room}</span>
              <span className={styles.last}>
                {each.last === undefined ? "No message yet" : `${each.last.name}: ${each.last.text}`}
              </span>
            </span>
            <span className={styles.side}>
              <span className={styles.when}>
                {each.last === undefined ? "" : ago(each.last.at, now)}
              </span>
              {each.room === current || each.unread <= 0 ? (
                <span className={styles.when}>
                  {each.membersOnline > 0 ? `${each.membersOnline} online` : ""}
                </span>
              ) : (
                <Badge count={each.unread} label="unread" />
              )}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
