import { useEffect, useState } from "react";
import { Link, Navigate, useNavigate, useSearchParams } from "react-router";
import type { LinkState } from "../lib/link-state.ts";
import { useStore } from "../lib/store.ts";
import type { Session } from "../session/session.ts";
import { Button, Connection, controls, Problem } from "../ui/controls.tsx";
import { BackIcon, PeopleIcon } from "../ui/icons.tsx";
import { OfflineBanner } from "../ui/Layout.tsx";
import { openRoom, type OpenRoom } from "./chat.ts";
import styles from "./ChatPage.module.css";
import { Composer } from "./Composer.tsx";
import { Members } from "./Members.tsx";
import { Messages } from "./Messages.tsx";
import { RoomList } from "./RoomList.tsx";
import type { Room } from "./room.ts";
import { here } from "./world.ts";

export function ChatPage({ session }: { session: Session }) {
  const name = useSearchParams()[0].get("room")?.trim() ?? "";
  const { userId, username } = session;
  const [open, setOpen] = useState<OpenRoom>();

  useEffect(() => {
    if (name === "") return;
    const opened = openRoom(name, { userId, username }, here);
    setOpen(opened);
    window.addEventListener("pagehide", opened.settle);
    return () => {
      window.removeEventListener("pagehide", opened.settle);
      opened.close();
    };
  }, [name, userId, username]);

  if (name === "") return <Navigate to="/join" replace />;
  return (
    <div className={styles.page}>
      <title>{name}</title>
      <OfflineBanner />
      <div className={styles.panes}>
        <aside className={styles.rooms} aria-label="Rooms">
          <div className={styles.top}>
            <Link to="/" className={styles.home} aria-label="Home">
              <img src="/icon.svg" alt="" width="28" height="28" />
              <span>Rooms</span>
            </Link>
            <Link to="/join" className={`${controls.button} ${controls.quiet} ${controls.small}`}>
              New room
            </Link>
          </div>
          <RoomList current={name} />
        </aside>
        {open !== undefined && open.store.get().room.name === name && (
          <OpenedRoom key={name} open={open} />
        )}
      </div>
    </div>
  );
}

function OpenedRoom({ open }: { open: OpenRoom }) {
  const chat = useStore(open.store);
  const link = useStore(open.link.state);
  const { room } = chat;
  return (
    <main className={styles.room}>
      <RoomHeader room={room} server={chat.server} link={link} onLeave={open.leave} onLook={() => void open.lookAround()} />
      <Stopped link={link} onRetry={() => open.link.retry()} />
      <div className={styles.problem}>
        <Problem>{chat.problem}</Problem>
      </div>
      <Messages open={open} room={room} me={chat.me.userId} />
      <Composer open={open} />
    </main>
  );
}

interface HeaderProps {
  room: Room;
  server: string;
  link: LinkState;
  onLeave: () => boolean;
  onLook: () => void;
}

function RoomHeader({ room, server, link, onLeave, onLook }: HeaderProps) {
  const navigate = useNavigate();
  const [members, setMembers] = useState(false);
  const online = room.members.filter((member) => member.online).length;
  return (
    <header className={styles.header}>
      <Button
        look="quiet"
        className={styles.leave ?? ""}
        onClick={() => {
          if (onLeave()) void navigate("/join");
        }}
        aria-label="Leave Room"
      >
        <BackIcon />
        <span>Leave Room</span>
      </Button>
      <h1 className={styles.title}>{room.name}</h1>
      <span className={styles.state}>
        <Connection state={link} />
        {server !== "" && (
          <span className={controls.chip} title="The server that this page is connected to">
            <span className="unseen">Server </span>
            {server}
          </span>
        )}
      </span>
      <Button
        look="quiet"
        onClick={() => {
          if (!members) onLook();
          setMembers(!members);
        }}
        aria-expanded={members}
        aria-label={`${online} online. Members`}
      >
        <PeopleIcon />
        {online}
      </Button>
      {members && <Members members={room.members} onClose={() => setMembers(false)} />}
    </header>
  );
}

/** Why the connection will not come back by itself. */
function Stopped({ link, onRetry }: { link: LinkState; onRetry: () => void }) {
  if (link.phase !== "closed" || link.why === "left") return null;
  const words = {
    idle: "We closed your connection, you've been idle for sometime.",
    "signed-out": "You are logged out.",
    refused: "The server does not let this page in.",
    replaced: "You have too many of these pages open.",
  }[link.why];
  return (
    <p className={controls.banner} role="alert">
      {words}
      {link.why === "signed-out" ? (
        <Link to="/login">Log in</Link>
      ) : (
        <Button small onClick={onRetry}>
          Come back
        </Button>
      )}
    </p>
  );
}
