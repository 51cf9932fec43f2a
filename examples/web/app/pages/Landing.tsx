import { Link } from "react-router";
import { useStore } from "../lib/store.ts";
import { sessions } from "../session/here.ts";
import { controls } from "../ui/controls.tsx";
import { Layout } from "../ui/Layout.tsx";
import styles from "./Landing.module.css";

const WAYS = [
  {
    to: "/join",
    title: "Rooms",
    text: "Chat with everybody in a room, across servers on different continents.",
  },
  {
    to: "/dm",
    title: "Direct messages",
    text: "Write to one person, and watch the message hop from pod to pod.",
  },
  {
    to: "/unsent",
    title: "Unsent messages",
    text: "Who wrote to you while you were away, answered before you ask.",
  },
];

export function Landing() {
  const session = useStore(sessions.current);
  const primary = `${controls.button} ${controls.primary}`;
  return (
    <Layout wide>
      <title>Real-Time Distributed Chat</title>
      <section className={styles.hero}>
        <h1>Real-Time Distributed Chat</h1>
        <p>
          Three servers, one conversation. Every message is in the log before anybody sees it, so
          none is lost and none comes twice.
        </p>
        <div className={styles.ways}>
          {session === undefined ? (
            <>
              <Link className={primary} to="/signup">
                Create a new Account
              </Link>
              <Link className={controls.button} to="/login">
                Already a user? Login here
              </Link>
            </>
          ) : (
            <Link className={primary} to="/join">
              {`Go on as ${session.username}`}
            </Link>
          )}
        </div>
        <Talk />
      </section>
      <ul className={styles.cards}>
        {WAYS.map((way) => (
          <li key={way.to}>
            <Link to={way.to} className={styles.card}>
              <h2>{way.title}</h2>
              <p>{way.text}</p>
            </Link>
          </li>
        ))}
      </ul>
    </Layout>
  );
}

/** What it looks like, for those who are not in yet. */
function Talk() {
  return (
    <ol className={styles.talk} aria-hidden="true">
      <li>
        Anyone up? <small>Asia</small>
      </li>
      <li className={styles.mine}>
        Good morning from here ☀️ <small>Europe</small>
      </li>
      <li>
        Same room, two servers. <small>Middle-east</small>
      </li>
    </ol>
  );
}
