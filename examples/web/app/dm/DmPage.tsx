import { useEffect, useState } from "react";
import { useSearchParams } from "react-router";
import { useStore } from "../lib/store.ts";
import type { Session } from "../session/session.ts";
import { Button, Connection, controls } from "../ui/controls.tsx";
import { BackIcon } from "../ui/icons.tsx";
import { Header, OfflineBanner } from "../ui/Layout.tsx";
import { openMessenger, type Messenger } from "./dm.ts";
import styles from "./DmPage.module.css";
import { People } from "./People.tsx";
import { PodsDrawer } from "./PodsDrawer.tsx";
import { Thread } from "./Thread.tsx";
import { here } from "./world.ts";

export function DmPage({ session }: { session: Session }) {
  const { username } = session;
  const [messenger, setMessenger] = useState<Messenger>();

  useEffect(() => {
    const opened = openMessenger(username, here);
    setMessenger(opened);
    return () => opened.close();
  }, [username]);

  return (
    <div className={styles.page}>
      <title>Direct messages</title>
      <OfflineBanner />
      <Header />
      {messenger !== undefined && <Panes messenger={messenger} />}
    </div>
  );
}

function Panes({ messenger }: { messenger: Messenger }) {
  const direct = useStore(messenger.store);
  const link = useStore(messenger.link.state);
  const [query, setQuery] = useSearchParams();
  const [drawer, setDrawer] = useState(false);
  const open = query.get("with") ?? undefined;

  useEffect(() => messenger.show(open), [messenger, open]);

  return (
    <div className={styles.panes} data-open={open !== undefined} data-drawer={drawer}>
      <aside className={styles.people} aria-label="People">
        <People
          direct={direct}
          open={open}
          onOpen={(who) => setQuery({ with: who })}
          find={messenger.find}
        />
      </aside>
      <main className={styles.thread}>
        <header className={styles.header}>
          {open !== undefined && (
            <Button
              look="quiet"
              className={styles.back ?? ""}
              aria-label="Back to the people"
              onClick={() => setQuery({})}
            >
              <BackIcon />
            </Button>
          )}
          <h1 className={styles.title}>{open ?? "Direct messages"}</h1>
          <span className={styles.state}>
            <Connection state={link} />
            {direct.pod !== "" && <span className={controls.chip}>{direct.pod}</span>}
          </span>
          <Button look="quiet" small aria-expanded={drawer} onClick={() => setDrawer(!drawer)}>
            Pods
          </Button>
        </header>
        {open === undefined ? (
          <p className={styles.empty}>Choose a person, or enter a name to write to somebody new.</p>
        ) : (
          <Thread key={open} messenger={messenger} direct={direct} who={open} />
        )}
      </main>
      {drawer && <PodsDrawer me={direct.me} onClose={() => setDrawer(false)} />}
    </div>
  );
}
