import { useState, type FormEvent } from "react";
import { Link, Navigate, useNavigate, useSearchParams } from "react-router";
import { useStore } from "../lib/store.ts";
import { sessions } from "../session/here.ts";
import { Button, Field, Problem } from "../ui/controls.tsx";
import { Layout } from "../ui/Layout.tsx";
import styles from "./Account.module.css";

/** A name and a password, and what came of them. */
function useAccountForm(submit: (username: string, password: string) => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();

  async function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const username = String(form.get("username") ?? "").trim();
    setBusy(true);
    setProblem(undefined);
    try {
      await submit(username, String(form.get("password") ?? ""));
    } catch (error) {
      setProblem(error instanceof Error && error.name !== "TypeError"
        ? error.message
        : "The server cannot be reached.");
      setBusy(false);
    }
  }

  return { busy, problem, onSubmit };
}

/** Where to go once signed in: only ever to a page of ours. */
function useNext(): string {
  const next = useSearchParams()[0].get("next") ?? "";
  return /^\/(?![/\\])/.test(next) ? next : "/join";
}

export function Login() {
  const next = useNext();
  const created = useSearchParams()[0].has("created");
  const session = useStore(sessions.current);
  const { busy, problem, onSubmit } = useAccountForm((name, word) => sessions.login(name, word));
  if (session !== undefined) return <Navigate to={next} replace />;
  return (
    <Layout>
      <title>Log in</title>
      <form className={styles.form} onSubmit={onSubmit}>
        <h1>Login</h1>
        {created && <p role="status">Your account is ready. Log in with it.</p>}
        <Field label="Username" name="username" autoComplete="username" required autoFocus />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
        />
        <Problem>{problem}</Problem>
        <Button look="primary" type="submit" disabled={busy}>
          {busy ? "Logging in…" : "Login"}
        </Button>
        <p className={styles.other}>
          New here? <Link to={`/signup?next=${encodeURIComponent(next)}`}>Create a new Account</Link>
        </p>
      </form>
    </Layout>
  );
}

export function Signup() {
  const next = useNext();
  const navigate = useNavigate();
  const { busy, problem, onSubmit } = useAccountForm(async (name, word) => {
    await sessions.signup(name, word);
    await navigate(`/login?created&next=${encodeURIComponent(next)}`);
  });
  return (
    <Layout>
      <title>Create a new Account</title>
      <form className={styles.form} onSubmit={onSubmit}>
        <h1>Create a new Account</h1>
        <Field
          label="Username"
          name="username"
          autoComplete="username"
          maxLength={100}
          required
          autoFocus
        />
        <Field
          label="Password"
          hint="At least 8 characters."
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          required
        />
        <Problem>{problem}</Problem>
        <Button look="primary" type="submit" disabled={busy}>
          {busy ? "Creating…" : "Sign up"}
        </Button>
        <p className={styles.other}>
          <Link to={`/login?next=${encodeURIComponent(next)}`}>Already a user? Login here</Link>
        </p>
      </form>
    </Layout>
  );
}
