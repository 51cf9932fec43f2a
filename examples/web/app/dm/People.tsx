import { useState, type FormEvent } from "react";
import { ago } from "../lib/time.ts";
import { Avatar, Badge, Button, controls, Problem, useNow } from "../ui/controls.tsx";
import { PlusIcon } from "../ui/icons.tsx";
import type { Direct, Person } from "./direct.ts";
import styles from "./People.module.css";

interface Props {
  direct: Direct;
  open: string | undefined;
  onOpen: (who: string) => void;
  /** A name as the account has it. */
  find: (name: string) => Promise<string>;
}

/** Everybody there is to write to, with who is here and what was not read yet. */
export function People({ direct, open, onOpen, find }: Props) {
  const now = useNow(30_000);
  const [problem, setProblem] = useState<string>();

  async function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const name = String(new FormData(form).get("who") ?? "").trim();
    if (name === "") return;
    try {
      const who = await find(name);
      setProblem(undefined);
      form.reset();
      if (who !== direct.me) onOpen(who);
    } catch (error) {
      setProblem(`${name}: ${error instanceof Error ? error.message : "not found just now"}`);
    }
  }

  return (
    <>
      <form className={styles.form} onSubmit={(event) => void onSubmit(event)}>
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
      <Problem>{problem}</Problem>
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
