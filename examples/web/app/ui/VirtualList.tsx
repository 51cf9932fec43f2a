import {
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type ReactNode,
  type Ref,
} from "react";
import styles from "./VirtualList.module.css";
import { forget, rowAt, seenRows, tops } from "./window.ts";

export interface ListHandle {
  toEnd(): void;
  toRow(key: string): void;
}

interface Props<Row extends { key: string }> {
  rows: readonly Row[];
  children: (row: Row) => ReactNode;
  label: string;
  /** The first rows are near: there may be more before them. */
  onStart?: () => void;
  /** Whether the end is seen. New rows are followed while it is. */
  onEnd: (seen: boolean) => void;
  ref?: Ref<ListHandle>;
}

const GUESS_PX = 56;
const AROUND_PX = 600;
const NEAR_PX = 48;
const ANCHORS = 8;

/**
 * A long list that draws only what is near the part that is seen. It keeps to its end while that
 * is seen; otherwise the row at the top stays where it is, whatever comes before it or grows.
 */
export function VirtualList<Row extends { key: string }>(props: Props<Row>) {
  const { rows, children, label, onStart, onEnd, ref } = props;
  const box = useRef<HTMLDivElement>(null);
  const heights = useRef(new Map<string, number>());
  // Where rows were seen; more than one, for a row may go while others come.
  const anchors = useRef<{ key: string; above: number }[]>([]);
  const atEnd = useRef(true);
  const [view, setView] = useState({ top: 0, height: 800 });
  const [measured, setMeasured] = useState(0);

  const keys = useMemo(() => rows.map((row) => row.key), [rows]);
  // `measured` says when heights have changed, for they are kept outside of React.
  const at = useMemo(() => tops(keys, heights.current, GUESS_PX), [keys, measured]);
  const { first, end } = seenRows(at, view.top, view.height, AROUND_PX);

  const look = useCallback(() => {
    const element = box.current;
    if (element === null) return;
    const { scrollTop, clientHeight, scrollHeight } = element;
    const index = rowAt(at, scrollTop);
    anchors.current = keys
      .slice(index, index + ANCHORS)
      .map((key, place) => ({ key, above: (at[index + place] ?? 0) - scrollTop }));
    const seen = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    atEnd.current = seen;
    onEnd(seen);
    if (scrollTop < AROUND_PX) onStart?.();
    setView({ top: scrollTop, height: clientHeight });
  }, [at, keys, onEnd, onStart]);

  /** Puts the list where it was: at its end, or with the same row at its top. */
  const hold = useCallback(() => {
    const element = box.current;
    if (element === null) return;
    let to = element.scrollHeight - element.clientHeight;
    if (!atEnd.current) {
      const anchor = anchors.current.find((each) => keys.includes(each.key));
      if (anchor === undefined) return;
      to = (at[keys.indexOf(anchor.key)] ?? 0) - anchor.above;
    }
    if (Math.abs(element.scrollTop - to) > 0.5) element.scrollTop = to;
    const { scrollTop, clientHeight } = element;
    setView((view) =>
      view.top === scrollTop && view.height === clientHeight
        ? view
        : { top: scrollTop, height: clientHeight },
    );
  }, [at, keys]);

  const measure = useCallback(() => {
    let changed = false;
    for (const element of box.current?.querySelectorAll<HTMLElement>("[data-key]") ?? []) {
      const key = element.dataset["key"] ?? "";
      const height = element.getBoundingClientRect().height;
      if (Math.abs((heights.current.get(key) ?? -1) - height) < 0.5) continue;
      heights.current.set(key, height);
      changed = true;
    }
    if (changed) setMeasured((count) => count + 1);
  }, []);

  useLayoutEffect(() => {
    measure();
    hold();
  });
  useEffect(() => forget(keys, heights.current), [keys]);

  useLayoutEffect(() => {
    if (box.current === null) return;
    const observer = new ResizeObserver(() => {
      measure();
      hold();
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [measure, hold]);

  // What has come may not reach to where more is wanted.
  useEffect(() => {
    if ((box.current?.scrollTop ?? AROUND_PX) < AROUND_PX) onStart?.();
  }, [rows, onStart]);

  useImperativeHandle(ref, () => ({
    toEnd() {
      atEnd.current = true;
      hold();
    },
    toRow(key) {
      const index = keys.indexOf(key);
      if (index < 0) return;
      atEnd.current = false;
      anchors.current = [{ key, above: 72 }];
      hold();
    },
  }));

  return (
    <div
      ref={box}
      className={styles.box}
      onScroll={look}
      role="log"
      aria-live="off"
      aria-label={label}
      tabIndex={0}
    >
      <div className={styles.space} style={{ height: at[keys.length] }}>
        <div className={styles.rows} style={{ transform: `translateY(${at[first] ?? 0}px)` }}>
          {rows.slice(first, end).map((row) => (
            <div key={row.key} data-key={row.key}>
              {children(row)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
