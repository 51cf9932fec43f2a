import { lazy, Suspense, useRef, useState, type KeyboardEvent } from "react";
import { Button } from "../ui/controls.tsx";
import { SendIcon, SmileIcon } from "../ui/icons.tsx";
import type { OpenRoom } from "./chat.ts";
import styles from "./Composer.module.css";

// The picker and its data come with the first look at it.
const EmojiPicker = lazy(() => import("../ui/EmojiPicker.tsx"));

/** As long as the servers take. */
const LONGEST = 4_000;

/** Where messages are written: Enter sends, Shift+Enter begins a new line. */
export function Composer({ open }: { open: Pick<OpenRoom, "send" | "typing"> }) {
  const [text, setText] = useState("");
  const [picking, setPicking] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const empty = text.trim() === "";

  function send() {
    if (empty) return;
    open.send(text.trim());
    setText("");
    area.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent) {
    // Enter may also take a suggestion of an input method.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  }

  function insert(emoji: string) {
    const at = area.current;
    const start = at?.selectionStart ?? text.length;
    const end = at?.selectionEnd ?? text.length;
    setText((text.slice(0, start) + emoji + text.slice(end)).slice(0, LONGEST));
    requestAnimationFrame(() => at?.setSelectionRange(start + emoji.length, start + emoji.length));
  }

  function closePicker() {
    setPicking(false);
    area.current?.focus();
  }

  return (
    <form
      className={styles.bar}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {picking && (
        <Suspense>
          <EmojiPicker onPick={insert} onClose={closePicker} />
        </Suspense>
      )}
      <Button
        look="quiet"
        square
        aria-label="Emoji"
        aria-expanded={picking}
        onClick={() => (picking ? closePicker() : setPicking(true))}
      >
        <SmileIcon />
      </Button>
      <div className={styles.grow} data-text={`${text}\n`}>
        <textarea
          ref={area}
          value={text}
          rows={1}
          maxLength={LONGEST}
          placeholder="Write a message"
          aria-label="Message"
          aria-describedby="keys"
          autoFocus
          onChange={(event) => {
            setText(event.target.value);
            open.typing();
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <span id="keys" className="unseen">
        Enter sends, Shift and Enter begin a new line.
      </span>
      <Button look="primary" type="submit" disabled={empty} aria-label="Send">
        <SendIcon />
        <span className={styles.word}>Send</span>
      </Button>
    </form>
  );
}
