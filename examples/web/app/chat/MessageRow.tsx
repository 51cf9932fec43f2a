import { memo, type ReactNode } from "react";
import { timeOfDay, wholeTime } from "../lib/time.ts";
import { Avatar, Button } from "../ui/controls.tsx";
import { AlertIcon, ClockIcon, TickIcon, TicksIcon } from "../ui/icons.tsx";
import { Linked } from "../ui/Linked.tsx";
import type { OpenRoom } from "./chat.ts";
import { SUPERCHAT } from "./frames.ts";
import styles from "./MessageRow.module.css";
import type { Outgoing, Room } from "./room.ts";
import { tick, TICK_NAMES, type Tick } from "./ticks.ts";
import type { Row } from "./timeline.ts";

export function MessageRow(props: { row: Row; room: Room; me: string; open: OpenRoom }) {
  const { row, room, me, open } = props;
  switch (row.kind) {
    case "day":
      return <h2 className={styles.day}>{row.text}</h2>;
    case "divider":
      return <p className={styles.divider}>New messages</p>;
    case "notice":
      return <p className={styles.notice}>{row.text}</p>;
    case "answer":
      return <Answer text={row.text} onStop={() => open.stopAnswer(row.id)} />;
    case "outgoing":
      return <OutgoingRow message={row.message} goesOn={row.goesOn} open={open} />;
    case "message":
      return (
        <Bubble
          own={row.own}
          goesOn={row.goesOn}
          name={row.message.senderName}
          server={row.message.server}
          content={row.message.content}
          at={row.message.at}
          state={row.own ? tick(room, row.message, me) : undefined}
        />
      );
  }
}

interface BubbleProps {
  own: boolean;
  goesOn: boolean;
  name: string;
  server: string;
  content: string;
  at: number;
  state: Tick | undefined;
  children?: ReactNode;
}

const Bubble = memo(function Bubble(props: BubbleProps) {
  const { own, goesOn, name, server, content, at, state, children } = props;
  return (
    <article className={styles.row} data-own={own} data-goes-on={goesOn} data-state={state}>
      {!own && <span className={styles.avatar}>{!goesOn && <Avatar name={name} size={32} />}</span>}
      <div className={styles.column}>
        {!goesOn && !own && (
          <p className={styles.sender} data-bot={name === SUPERCHAT}>
            {name}
            {server !== "" && server !== name && <span className={styles.server}>{server}</span>}
          </p>
        )}
        <div className={styles.bubble}>
          <span className="unseen">{goesOn || own ? `${own ? "You" : name}: ` : ""}</span>
          <span className={styles.text}>
            <Linked text={content} />
          </span>
          <span className={styles.meta}>
            <time dateTime={new Date(at).toISOString()} title={wholeTime(at)}>
              {timeOfDay(at)}
            </time>
            {state !== undefined && <Ticks state={state} />}
          </span>
        </div>
        {children}
      </div>
    </article>
  );
});

/** A clock, a tick, two, two in blue; or that it was not sent. */
function Ticks({ state }: { state: Tick }) {
  const Icon = { sending: ClockIcon, failed: AlertIcon, sent: TickIcon }[state as string] ?? TicksIcon;
  return (
    <span className={styles.ticks} data-tick={state} role="img" aria-label={TICK_NAMES[state]}>
      <span title={TICK_NAMES[state]}>
        <Icon />
      </span>
    </span>
  );
}

function OutgoingRow(props: { message: Outgoing; goesOn: boolean; open: OpenRoom }) {
  const { message, goesOn, open } = props;
  return (
    <Bubble
      own
      goesOn={goesOn}
      name="You"
      server=""
      content={message.content}
      at={message.at}
      state={message.state}
    >
      {message.state === "failed" && (
        <div className={styles.failed} role="alert">
          <span>{message.failure}</span>
          {message.retryable && (
            <Button small look="quiet" onClick={() => open.retry(message.clientId)}>
              Retry
            </Button>
          )}
          <Button small look="quiet" onClick={() => open.discard(message.clientId)}>
            Delete
          </Button>
        </div>
      )}
    </Bubble>
  );
}

function Answer({ text, onStop }: { text: string; onStop: () => void }) {
  return (
    <article className={styles.row} data-own={false} data-state="writing">
      <span className={styles.avatar}>
        <Avatar name={SUPERCHAT} size={32} />
      </span>
      <div className={styles.column}>
        <p className={styles.sender} data-bot>
          {SUPERCHAT}
        </p>
        <div className={styles.bubble}>
          <span className={styles.text}>
            {text}
            <span className={styles.caret} aria-hidden="true" />
          </span>
        </div>
        <div className={styles.failed}>
          <Button small onClick={onStop} aria-label="Stop the answer">
            Stop
          </Button>
        </div>
      </div>
    </article>
  );
}
