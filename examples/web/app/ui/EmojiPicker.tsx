import { useEffect, useRef } from "react";
import Picker from "emoji-picker-element/picker";
import dataSource from "emoji-picker-element-data/en/cldr-native/data.json?url";
import styles from "./EmojiPicker.module.css";

interface Props {
  onPick: (emoji: string) => void;
  onClose: () => void;
}

/** The emoji, by name or by looking, from a file of our own. Escape closes it. */
export default function EmojiPicker({ onPick, onClose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const pick = useRef(onPick);
  pick.current = onPick;

  useEffect(() => {
    const picker = new Picker({ dataSource });
    picker.addEventListener("emoji-click", (event) => {
      if (event.detail.unicode !== undefined) pick.current(event.detail.unicode);
    });
    box.current?.append(picker);
    const focus = requestAnimationFrame(() =>
      picker.shadowRoot?.querySelector<HTMLInputElement>("input[type=search]")?.focus(),
    );
    return () => {
      cancelAnimationFrame(focus);
      picker.remove();
    };
  }, []);

  return (
    <div
      ref={box}
      className={styles.box}
      role="dialog"
      aria-label="Emoji"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onClose();
      }}
    />
  );
}
