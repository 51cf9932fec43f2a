import { useEffect, useState, type FormEvent } from "react";
import { useSearchParams } from "react-router";
import { ago } from "../lib/time.ts";
import { useStore } from "../lib/store.ts";
import { sessions } from "../session/here.ts";
import { Avatar, Badge, Button, controls, Field, Problem, useNow } from "../ui/controls.tsx";
import { Layout } from "../ui/Layout.tsx";
import { headline, shownUpto, type Sender, type Waiting } from "./inbox.ts";
import { StoresPanel } from "./StoresPanel.tsx";
import styles from "./UnsentPage.module.css";
import { post, watch, type Unsent } from "./unsent.ts";

/** Who wrote to a person while that person was away. */
export function UnsentPage() {
  const session = useStore(sessions.current);
  const [query, setQuery] = useSearchParams();
  const person = query.get("who") ?? session?.username ?? "bob";
  const [unsent, setUnsent] = useState<{ who: string; it: Unsent }>();

  useEffect(() => {
    const it = watch(person);
    setUnsent({ who: person, it });
    return () => it.close();
  }, [person]);

  return (
    <Layout wide>
      <title>Unsent messages</title>
      <PersonPicker person={person} onPick={(who) => setQuery({ who })} />
      {unsent?.who === person && <Watched key={person} person={person} unsent={unsent.it} />}
    </Layout>
  );
}

function PersonPicker({ person, onPick }: { person: string; onPick: (who: string) => void }) {
  function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const who = String(new FormData(event.currentTarget).get("who") ?? "").trim();
    if (who !== "") onPick(who);
  }
  return (
    <form className={styles.picker} onSubmit={onSubmit} key={person}>
      <Field label="Whose messages?" name="who" defaultValue={person} list="people" maxLength={64} />
      <datalist id="people">
        {["alice", "bob", "carol"].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <Button type="submit">Show</Button>
    </form>
  );
}

function Watched({ person, unsent }: { person: string; unsent: Unsent }) {
  const { inbox, live, problem, stats } = useStore(unsent.store);
  return (
    <div className={styles.panes}>
      <section>
        <h1 className={styles.head} aria-live="polite">
          {inbox === undefined ? "Asking who wrote…" : headline(inbox.senders)}
        </h1>
        <p className={styles.sub}>
          <span className={controls.chip}>
            <span className={controls.dot} data-is={live ? "open" : "waiting"} aria-hidden="true" />
            {live ? "Live" : "Waiting for the live line"}
          </span>
          {inbox !== undefined && inbox.source !== "" && (
            <span className={controls.chip}>{`Answered by the ${storeName(inbox.source)}`}</span>
          )}
          {inbox?.staleMs !== undefined && inbox.staleMs > 0 && (
            <span className={controls.chip}>{`${Math.ceil(inbox.staleMs / 1000)} s behind`}</span>
          )}
        </p>
        <Problem>{problem}</Problem>
        <ul className={styles.cards}>
          {inbox?.senders.map((sender) => (
            <SenderCard key={sender.fromuser} sender={sender} unsent={unsent} />
          ))}
        </ul>
        <WriteTo person={person} />
      </section>
      <StoresPanel stats={stats} onCut={(cut) => unsent.cutMaster(cut)} />
    </div>
  );
}

function storeName(source: string): string {
  return source === "aux" ? "auxiliary" : source;
}

function SenderCard({ sender, unsent }: { sender: Sender; unsent: Unsent }) {
  const now = useNow(30_000);
  const [waiting, setWaiting] = useState<Waiting[]>();
  const [problem, setProblem] = useState<string>();

  // What comes while the card is open is shown in it.
  const opened = waiting !== undefined;
  useEffect(() => {
    if (opened) void unsent.open(sender.fromuser).then(setWaiting, () => {});
  }, [opened, sender.count, sender.fromuser, sender.lastOffset, unsent]);

  function attempt(work: Promise<void>) {
    setProblem(undefined);
    work.catch(() => setProblem("That did not work just now. Please try again."));
  }

  return (
    <li className={styles.card}>
      <div className={styles.who}>
        <Avatar name={sender.fromuser} size={40} />
        <div className={styles.words}>
          <h2>{sender.fromuser}</h2>
          <p className={styles.when}>
            {sender.count === 1
              ? since(sender.lastAt, now)
              : `first ${since(sender.firstAt, now)}, last ${since(sender.lastAt, now)}`}
          </p>
        </div>
        <Badge count={sender.count} label={sender.count === 1 ? "message" : "messages"} />
      </div>
      {waiting === undefined ? (
        <p className={styles.preview}>{sender.preview}</p>
      ) : (
        <ol className={styles.messages}>
          {waiting.map((message) => (
            <li key={message.offset}>{message.text}</li>
          ))}
        </ol>
      )}
      <Problem>{problem}</Problem>
      <div className={styles.actions}>
        <Button
          small
          aria-expanded={opened}
          onClick={() =>
            opened
              ? setWaiting(undefined)
              : attempt(unsent.open(sender.fromuser).then(setWaiting))
          }
        >
          {opened ? "Close" : "Open"}
        </Button>
        <Button
          small
          look="quiet"
          onClick={() => attempt(unsent.dismiss(sender.fromuser, shownUpto(sender, waiting)))}
        >
          Dismiss
        </Button>
      </div>
    </li>
  );
}

function since(at: number, now: number): string {
  const words = ago(at, now);
  return words === "now" ? "just now" : `${words} ago`;
}

/** So that there is something to see without another application. */
function WriteTo({ person }: { person: string }) {
  const [problem, setProblem] = useState<string>();

  async function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setProblem(undefined);
    try {
      await post(person, String(data.get("from")).trim(), String(data.get("message")).trim());
      form.querySelector<HTMLInputElement>("input[name=message]")!.value = "";
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "That did not work.");
    }
  }

  return (
    <form className={styles.write} onSubmit={(event) => void onSubmit(event)}>
      <h2>{`Write to ${person}`}</h2>
      <div className={styles.fields}>
        <Field label="From" name="from" defaultValue="alice" required maxLength={64} />
        <Field label="Message" name="message" required maxLength={4000} autoComplete="off" />
        <Button type="submit">Send</Button>
      </div>
      <Problem>{problem}</Problem>
    </form>
  );
}
