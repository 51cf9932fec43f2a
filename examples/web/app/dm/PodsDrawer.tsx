import { useEffect, useState } from "react";
import { api } from "../session/here.ts";
import { Avatar, Button, controls, Problem } from "../ui/controls.tsx";
import { readPods, type Hop, type Pods } from "./pods.ts";
import styles from "./PodsDrawer.module.css";

const POLL_MS = 1_000;

const ABOUT: Record<string, string> = {
  "pod-id": "Each pod has a topic of its own. A message goes to the pod of its receiver only.",
  broadcast: "Every pod reads every message, and leaves out what is not for anybody it has.",
  "single-topic": "One topic for all pods. A new pod begins at its end, and replays nothing.",
};

/** Draws the pods, who is where, and the way that the last messages took. */
export function PodsDrawer({ me, onClose }: { me: string; onClose: () => void }) {
  const { pods, problem, setMode } = usePods();
  return (
    <aside className={styles.drawer} aria-label="Pods">
      <header className={styles.head}>
        <h2>Pods</h2>
        <Button look="quiet" small onClick={onClose}>
          Close
        </Button>
      </header>
      <Problem>{problem}</Problem>
      {pods === undefined ? (
        <p className={styles.hint}>Asking…</p>
      ) : (
        <>
          <ModeSwitch pods={pods} onMode={setMode} />
          <Drawing pods={pods} me={me} />
          <h3>Last messages</h3>
          <ol className={styles.hops}>
            {pods.hops.slice(0, 8).map((hop) => (
              <li key={`${hop.messageId}-${hop.to}`}>
                <HopLine hop={hop} />
              </li>
            ))}
          </ol>
          {pods.hops.length === 0 && <p className={styles.hint}>No message yet.</p>}
        </>
      )}
    </aside>
  );
}

function usePods() {
  const [pods, setPods] = useState<Pods>();
  const [problem, setProblem] = useState<string>();
  const [round, setRound] = useState(0);

  useEffect(() => {
    let over = false;
    async function load() {
      if (document.hidden) return;
      try {
        const body = await api("GET", "/dm/api/pods");
        if (!over) setPods(readPods(body["data"]));
        if (!over) setProblem(undefined);
      } catch {
        if (!over) setProblem("The pods do not answer just now.");
      }
    }
    void load();
    const timer = setInterval(load, POLL_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [round]);

  async function setMode(mode: string) {
    try {
      await api("POST", "/dm/api/mode", { mode });
      setRound((count) => count + 1);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "That did not work.");
    }
  }

  return { pods, problem, setMode };
}

function ModeSwitch({ pods, onMode }: { pods: Pods; onMode: (mode: string) => Promise<void> }) {
  return (
    <fieldset className={styles.modes}>
      <legend>How messages find their pod</legend>
      {pods.modes.map((mode) => (
        <label key={mode} className={styles.mode}>
          <input
            type="radio"
            name="mode"
            checked={mode === pods.mode}
            onChange={() => void onMode(mode)}
          />
          <span>
            <strong>{mode}</strong>
            <span className={styles.hint}>{ABOUT[mode] ?? ""}</span>
          </span>
          <span className={controls.chip} title="Events that reached a pod without use for them">
            {`${pods.redundant[mode] ?? 0} redundant`}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

const WIDTH = 320;
const TOP = 58;

/** Three boxes and the log between them; the last hop as a line. */
function Drawing({ pods, me }: { pods: Pods; me: string }) {
  const place = new Map(
    pods.pods.map((pod, index) => [pod.id, (WIDTH / pods.pods.length) * (index + 0.5)]),
  );
  const last = pods.hops[0];
  const [from, to] = [place.get(last?.from ?? ""), place.get(last?.to ?? "")];
  return (
    <figure className={styles.drawing}>
      <svg viewBox={`0 0 ${WIDTH} ${TOP}`} aria-hidden="true">
        <rect className={styles.log} x="8" y="6" width={WIDTH - 16} height="22" rx="11" />
        <text className={styles.logName} x={WIDTH / 2} y="21">
          log
        </text>
        {from !== undefined && to !== undefined && (
          <path
            key={last?.messageId}
            className={styles.hop}
            d={`M${from - 6} ${TOP} V28 H${to + 6} V${TOP}`}
          />
        )}
      </svg>
      <ul className={styles.pods}>
        {pods.pods.map((pod) => (
          <li key={pod.id} className={styles.pod} data-alive={pod.alive}>
            <strong>{pod.id}</strong>
            <span className={styles.hint}>{pod.alive ? "" : "away"}</span>
            {pod.users.map((user, index) => (
              <span key={`${user}-${index}`} className={styles.user} data-me={user === me}>
                <Avatar name={user} size={20} />
                {user}
              </span>
            ))}
          </li>
        ))}
      </ul>
      <figcaption className="unseen">
        {pods.pods.map((pod) => `${pod.id}: ${pod.users.join(", ") || "nobody"}. `).join("")}
      </figcaption>
    </figure>
  );
}

function HopLine({ hop }: { hop: Hop }) {
  return (
    <>
      <span>{`${hop.sender} → ${hop.receiver}`}</span>
      <span className={styles.hint}>{`${hop.from} → ${hop.to || "nobody there"}`}</span>
      <span className={styles.hint}>{hop.tookMs === undefined ? "" : `${hop.tookMs} ms`}</span>
    </>
  );
}
