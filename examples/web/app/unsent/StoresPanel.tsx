import { useState } from "react";
import { Button, controls, Problem } from "../ui/controls.tsx";
import styles from "./StoresPanel.module.css";
import type { Stats } from "./unsent.ts";

interface Props {
  stats: Stats | undefined;
  onCut: (cut: boolean) => Promise<void>;
}

/** The two stores, what each has answered, and a way to cut the master off. */
export function StoresPanel({ stats, onCut }: Props) {
  const [problem, setProblem] = useState<string>();
  const cut = stats?.master === "cut";

  async function toggle() {
    setProblem(undefined);
    try {
      await onCut(!cut);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "That did not work.");
    }
  }

  const share = stats === undefined ? 0 : stats.offMaster;
  return (
    <aside className={styles.panel} aria-label="Stores">
      <h2>Where answers come from</h2>
      <div className={styles.stores}>
        <StoreBox name="Master" state={stats?.master} reads={stats?.readsMaster} />
        <StoreBox name="Auxiliary" state={stats?.auxiliary} reads={stats?.readsAux} />
      </div>
      <div>
        <p className={styles.share}>
          <span>Reads off the master</span>
          <strong>{stats === undefined ? "–" : `${(share * 100).toFixed(1)} %`}</strong>
        </p>
        <div className={styles.bar} aria-hidden="true">
          <span style={{ width: `${share * 100}%` }} />
        </div>
      </div>
      <p className={styles.share}>
        <span>Changes told live</span>
        <strong>{stats?.changes ?? "–"}</strong>
      </p>
      <Button onClick={() => void toggle()} disabled={stats === undefined} aria-pressed={cut}>
        {cut ? "Join the master again" : "Cut the master"}
      </Button>
      <p className={styles.hint}>
        {cut
          ? "The master is cut off. The auxiliary goes on answering, and what is written waits in the log."
          : "Without its master the auxiliary goes on answering. Try it."}
      </p>
      <Problem>{problem}</Problem>
    </aside>
  );
}

interface BoxProps {
  name: string;
  state: string | undefined;
  reads: number | undefined;
}

function StoreBox({ name, state, reads }: BoxProps) {
  const dot = state === "up" ? "open" : state === "cut" ? "waiting" : "closed";
  return (
    <div className={styles.store} data-state={state ?? "unknown"}>
      <h3>{name}</h3>
      <p className={styles.state}>
        <span className={controls.dot} data-is={state === undefined ? "" : dot} aria-hidden="true" />
        {state ?? "unknown"}
      </p>
      <p className={styles.number}>{reads ?? "–"}</p>
      <p className={styles.hint}>reads</p>
    </div>
  );
}
