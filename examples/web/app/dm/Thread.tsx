import { useCallback, useMemo } from "react";
import { Composer } from "../chat/Composer.tsx";
import { dayName, dayOf, timeOfDay, wholeTime } from "../lib/time.ts";
import { Button, useNow } from "../ui/controls.tsx";
import { AlertIcon, ClockIcon, RingIcon, TickIcon, TicksIcon } from "../ui/icons.tsx";
import { Latest } from "../ui/Latest.tsx";
import { Linked } from "../ui/Linked.tsx";
import { VirtualList } from "../ui/VirtualList.tsx";
import { saidBy, threadOf, type Direct, type Message, type Status } from "./direct.ts";
import type { Messenger } from "./dm.ts";
import styles from "./Thread.module.css";

type Row =
  | { kind: "day"; key: string; text: string }
  | { kind: "message"; key: string; message: Message };

/** The messages with one person, and where the next is written. */
export function Thread(props: { messenger: Messenger; direct: Direct; who: string }) {
  const { messenger, direct, who } = props;
  const day = useNow(60_000);
  const thread = threadOf(direct, who);
  const rows = useMemo(() => rowsOf(thread, day), [thread, day]);
  const composer = useMemo(
    () => ({ send: (text: string) => messenger.send(who, text), typing: () => {} }),
    [messenger, who],
  );
  const older = useCallback(() => messenger.older(who), [messenger, who]);
  return (
    <>
      <VirtualList
        rows={rows}
        label={`Messages with ${who}`}
        onStart={older}
        onEnd={nothing}
      >
        {(row) =>
          row.kind === "day" ? (
            <h2 className={styles.day}>{row.text}</h2>
          ) : (
            <MessageRow message={row.message} me={direct.me} messenger={messenger} />
          )
        }
      </VirtualList>
      <Latest said={saidBy(direct, who)} />
      <Composer open={composer} />
    </>
  );
}

const nothing = () => {};

function rowsOf(thread: readonly Message[], now: number): Row[] {
  const rows: Row[] = [];
  let day: number | undefined;
  for (const message of thread) {
    if (day !== dayOf(message.at)) {
      day = dayOf(message.at);
      rows.push({ kind: "day", key: `day-${day}`, text: dayName(message.at, now) });
    }
    rows.push({ kind: "message", key: message.clientId ?? message.id, message });
  }
  return rows;
}

function MessageRow(props: { message: Message; me: string; messenger: Messenger }) {
  const { message, me, messenger } = props;
  const own = message.from === me;
  const { clientId } = message;
  return (
    <article className={styles.row} data-own={own} data-status={message.status}>
      <div className={styles.bubble}>
        <span className="unseen">{own ? "You: " : `${message.from}: `}</span>
        <span className={styles.text}>
          <Linked text={message.text} />
        </span>
        <span className={styles.meta}>
          <time dateTime={new Date(message.at).toISOString()} title={wholeTime(message.at)}>
            {timeOfDay(message.at)}
          </time>
          {own && <StatusIcon message={message} />}
        </span>
      </div>
      {message.status === "failed" && clientId !== undefined && (
        <div className={styles.failed} role="alert">
          <span>Not sent</span>
          <Button small look="quiet" onClick={() => messenger.retry(clientId)}>
            Retry
          </Button>
          <Button small look="quiet" onClick={() => messenger.discard(clientId)}>
            Delete
          </Button>
        </div>
      )}
    </article>
  );
}

const STATUS: Record<Status, { Icon: () => React.ReactNode; words: string }> = {
  sending: { Icon: ClockIcon, words: "Sending" },
  failed: { Icon: AlertIcon, words: "Not sent" },
  NONE: { Icon: RingIcon, words: "Stored" },
  SENT: { Icon: TickIcon, words: "Sent" },
  DELIVERED: { Icon: TicksIcon, words: "Delivered" },
};

/** ○ stored, ✓ on the receiver's pod, ✓✓ on the receiver's screen; with times on hover. */
function StatusIcon({ message }: { message: Message }) {
  const { Icon, words } = STATUS[message.status];
  const times = [
    `Written ${wholeTime(message.at)}`,
    message.sentAt === undefined ? "" : `Sent ${wholeTime(message.sentAt)}`,
    message.deliveredAt === undefined ? "" : `Delivered ${wholeTime(message.deliveredAt)}`,
  ];
  return (
    <span className={styles.status} role="img" aria-label={words} data-status={message.status}>
      <span title={times.filter(Boolean).join("\n")}>
        <Icon />
      </span>
    </span>
  );
}
