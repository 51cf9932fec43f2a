import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter, Navigate, Route, Routes, useLocation } from "react-router";
import { ChatPage } from "./chat/ChatPage.tsx";
import { DmPage } from "./dm/DmPage.tsx";
import { useStore } from "./lib/store.ts";
import { Login, Signup } from "./pages/Account.tsx";
import { Join } from "./pages/Join.tsx";
import { Landing } from "./pages/Landing.tsx";
import { sessions } from "./session/here.ts";
import type { Session } from "./session/session.ts";
import { UnsentPage } from "./unsent/UnsentPage.tsx";
import "./ui/base.css";

/** A page for those who are signed in; others log in first and come back. */
function Signed({ children }: { children: (session: Session) => ReactNode }) {
  const session = useStore(sessions.current);
  const { pathname, search } = useLocation();
  if (session !== undefined) return children(session);
  return <Navigate to={`/login?next=${encodeURIComponent(pathname + search)}`} replace />;
}

function Pages() {
  return (
    <BrowserRouter>
      <Routes>
        <Route path="/" element={<Landing />} />
        <Route path="/signup" element={<Signup />} />
        <Route path="/login" element={<Login />} />
        <Route path="/join" element={<Signed>{() => <Join />}</Signed>} />
        <Route path="/chat" element={<Signed>{(session) => <ChatPage session={session} />}</Signed>} />
        <Route path="/dm" element={<Signed>{(session) => <DmPage session={session} />}</Signed>} />
        <Route path="/unsent" element={<UnsentPage />} />
        <Route path="*" element={<Navigate to="/" replace />} />
      </Routes>
    </BrowserRouter>
  );
}

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no root");
createRoot(root).render(
  <StrictMode>
    <Pages />
  </StrictMode>,
);
