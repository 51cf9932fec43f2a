import { useEffect, useRef } from "react";
import { Avatar, controls } from "../ui/controls.tsx";
import type { Member } from "./frames.ts";
import styles from "./Members.module.css";

/** Who belongs to the room, those who are here first. */
export function Members({ members, onClose }: { members: readonly Member[]; onClose: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.focus();
  }, []);
  const sorted = [...members].sort(
    (a, b) => Number(b.online) - Number(a.online) || a.name.localeCompare(b.name),
  );
  return (
    <div
      ref={box}
      className={styles.box}
      role="dialog"
      aria-label="Members"
      tabIndex={-1}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
      onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && onClose()}
    >
      <ul>
        {sorted.map((member) => (
          <li key={member.user} className={styles.member}>
            <Avatar name={member.name} size={30} />
            <span className={styles.name}>{member.name}</span>
            <span className={controls.chip}>
              <span
                className={controls.dot}
                data-is={member.online ? "online" : "away"}
                aria-hidden="true"
              />
              {member.online ? "here" : "away"}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
