import { useSyncExternalStore, type ReactNode } from "react";
import { Link, NavLink, useNavigate } from "react-router";
import { useStore } from "../lib/store.ts";
import { sessions } from "../session/here.ts";
import { Avatar, Button, controls } from "./controls.tsx";
import styles from "./Layout.module.css";

/** What stands around every page but the chat itself on a phone. */
export function Layout({ children, wide }: { children: ReactNode; wide?: boolean }) {
  return (
    <div className={styles.page}>
      <OfflineBanner />
      <Header />
      <main className={wide ? styles.wide : styles.main}>{children}</main>
    </div>
  );
}

export function Header() {
  const session = useStore(sessions.current);
  const navigate = useNavigate();

  async function leave() {
    await sessions.logout().catch(() => {});
    await navigate("/");
  }

  return (
    <header className={styles.header}>
      <Link to="/" className={styles.brand} aria-label="Home">
        <img src="/icon.svg" alt="" width="28" height="28" />
        <span>Klamm</span>
      </Link>
      <nav className={styles.nav} aria-label="Pages">
        <NavLink to="/join">Rooms</NavLink>
        <NavLink to="/dm">Direct</NavLink>
        <NavLink to="/unsent">Unsent</NavLink>
      </nav>
      {session === undefined ? (
        <Link className={styles.account} to="/login">
          Log in
        </Link>
      ) : (
        <div className={styles.account}>
          <Avatar name={session.username} size={28} />
          <span className={styles.name}>{session.username}</span>
          <Button look="quiet" small onClick={() => void leave()}>
            Log out
          </Button>
        </div>
      )}
    </header>
  );
}

function subscribe(listener: () => void): () => void {
  addEventListener("online", listener);
  addEventListener("offline", listener);
  return () => {
    removeEventListener("online", listener);
    removeEventListener("offline", listener);
  };
}

/** Says that the browser has no network; what is written meanwhile waits. */
export function OfflineBanner() {
  const online = useSyncExternalStore(subscribe, () => navigator.onLine);
  return (
    <div role="status">
      {!online && (
        <p className={controls.banner}>You are offline. What you write is sent when you are back.</p>
      )}
    </div>
  );
}
