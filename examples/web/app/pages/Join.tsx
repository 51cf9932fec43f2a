import { useState, type FormEvent } from "react";
import { useNavigate } from "react-router";
import { RoomList } from "../chat/RoomList.tsx";
import { Button, controls, Problem } from "../ui/controls.tsx";
import { Layout } from "../ui/Layout.tsx";
import styles from "./Join.module.css";

export function Join() {
  const navigate = useNavigate();
  const [problem, setProblem] = useState<string>();

  function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("room") ?? "").trim();
    if (name === "") return setProblem("Why the hurry? Enter a room name first!");
    if (!/^[\p{L}\p{N} _-]{1,64}$/u.test(name)) {
      return setProblem("Up to 64 letters, digits, spaces, - and _, please.");
    }
    void navigate(`/chat?room=${encodeURIComponent(name)}`);
  }

  return (
    <Layout>
      <title>Join a room</title>
      <h1>Join a room</h1>
      <form className={styles.form} onSubmit={onSubmit}>
        <input
          className={controls.input}
          name="room"
          placeholder="Room name"
          aria-label="Room name"
          autoComplete="off"
          maxLength={64}
          autoFocus
        />
        <Button look="primary" type="submit">
          Join
        </Button>
      </form>
      <Problem>{problem}</Problem>
      <section className={styles.rooms} aria-label="Rooms">
        <RoomList />
      </section>
    </Layout>
  );
}
