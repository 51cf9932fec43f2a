import type { FormEvent } from "react";
import { ago } from "../lib/time.ts";
import { Avatar, Badge, Button, controls, useNow } from "../ui/controls.tsx";
import { PlusIcon } from "../ui/icons.tsx";
import type { Direct, Person } from "./direct.ts";
import styles from "./People.module.css";

interface Props {
  direct: Direct;
  open: string | undefined;
  onOpen: (who: string) => void;
}

/** Everybody there is to write to, with who is here and what was not read yet. */
export function People({ direct, open, onOpen }: Props) {
  const now = useNow(30_000);

  function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const who = String(new FormData(event.currentTarget).get("who") ?? "").trim();
    if (who === "" || who === direct.me) return;
    event.currentTarget.reset();
    onOpen(who);
  }

  return (
    <>
      <form className={styles.form} onSubmit={onSubmit}>
        <input
          className={controls.input}
          name="who"
          placeholder="Write to…"
          aria-label="Write to"
          autoComplete="off"
          maxLength={100}
        />
        <Button type="submit" square aria-label="Open">
          <PlusIcon />
        </Button>
      </form>
      <ul>
        {direct.people.map((person) => (
          <li key={person.username}>
            <button
              type="button"
              className={styles.person}
              aria-current={person.username === open ? "true" : undefined}
              onClick={() => onOpen(person.username)}
            >
              <PersonRow person={person} now={now} />
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function PersonRow({ person, now }: { person: Person; now: number }) {
  const { username, online, unread, last, lastAt } = person;
  return (
    <>
      <span className={styles.face}>
        <Avatar name={username} size={40} />
        <span className={controls.dot} data-is={online ? "online" : "away"} aria-hidden="true" />
      </span>
      <span className={styles.words}>
        <span className={styles.name}>
          {username}
          <span className="unseen">{online ? ", online" : ", offline"}</span>
        </span>
        <span className={styles.last}>{last}</span>
      </span>
      <span className={styles.side}>
        <span className={styles.when}>{lastAt > 0 ? ago(lastAt, now) : ""}</span>
        <Badge count={unread} label={`from ${username}`} />
      </span>
    </>
  );
}
