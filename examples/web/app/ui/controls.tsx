import { useEffect, useId, useState, type ComponentProps, type CSSProperties } from "react";
import type { LinkState } from "../lib/link-state.ts";
import styles from "./controls.module.css";

export { styles as controls };

type ButtonProps = ComponentProps<"button"> & {
  look?: "plain" | "primary" | "quiet";
  small?: boolean;
  square?: boolean;
};

export function Button({ look = "plain", small, square, className, ...rest }: ButtonProps) {
  const names = [
    styles.button,
    look === "plain" ? "" : styles[look],
    small ? styles.small : "",
    square ? styles.square : "",
    className ?? "",
  ];
  return <button type="button" {...rest} className={names.filter(Boolean).join(" ")} />;
}

type FieldProps = ComponentProps<"input"> & { label: string; hint?: string };

export function Field({ label, hint, ...rest }: FieldProps) {
  const id = useId();
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={id}>
        {label}
      </label>
      <input
        {...rest}
        id={id}
        className={styles.input}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
      />
      {hint !== undefined && (
        <p className={styles.hint} id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** What went wrong, read out when it appears. */
export function Problem({ children }: { children: string | undefined }) {
  return (
    <div role="alert" className={styles.alert}>
      {children && <p className={styles.problem}>{children}</p>}
    </div>
  );
}

/** A letter on a colour of its own. */
export function Avatar({ name, size = 36 }: { name: string; size?: number }) {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  const style = { "--hue": hue, "--size": `${size}px` } as CSSProperties;
  return (
    <span className={styles.avatar} style={style} aria-hidden="true">
      {[...name][0] ?? "?"}
    </span>
  );
}

export function Badge({ count, label }: { count: number; label: string }) {
  if (count <= 0) return null;
  return (
    <span className={styles.badge}>
      <span aria-hidden="true">{count > 99 ? "99+" : count}</span>
      <span className="unseen">{`${count} ${label}`}</span>
    </span>
  );
}

/** The time, anew every so often while `on`. */
export function useNow(everyMs: number, on = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!on) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, on]);
  return now;
}

/** How the connection is, as a dot and in words. */
export function Connection({ state }: { state: LinkState }) {
  const now = useNow(250, state.phase === "waiting");
  return (
    <span className={styles.chip} role="status">
      <span className={styles.dot} data-is={state.phase} aria-hidden="true" />
      <span className={styles.words} data-is={state.phase}>
        {connectionWords(state, now)}
      </span>
    </span>
  );
}

function connectionWords(state: LinkState, now: number): string {
  switch (state.phase) {
    case "open":
      return "Connected";
    case "connecting":
      return state.attempt === 0 ? "Connecting…" : "Reconnecting…";
    case "waiting":
      return `Reconnecting in ${Math.max(0, Math.ceil((state.until - now) / 1000))} s`;
    case "offline":
      return "Offline";
    case "closed":
      return state.why === "replaced" ? "Disconnected: too many pages are open" : "Disconnected";
  }
}
