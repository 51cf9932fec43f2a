// What the scripts share: a browser, people with accounts, and the parts of the applications that
// can be killed and started again.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const URL_OF_APPS = process.env.APPS_URL ?? "http://localhost:8080";
// What was started for this test: `embedded` or `servers`. Undefined for whatever runs there.
const SET = process.env.APPS_SET;
const SHOTS = process.env.APPS_SHOTS ?? join(tmpdir(), "shots");
const PASSWORD = "correct horse battery";
const PATIENCE_MS = 20_000;

/** Thrown by a check for which this set has not what it takes. */
export class NotAvailable extends Error {}

/** Runs a script: `play` gets a stage and makes its checks in order. */
export async function run(name, play) {
  mkdirSync(SHOTS, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  const stage = new Stage(name, browser);
  try {
    await play(stage);
  } catch (error) {
    stage.tell("the script itself", "FAIL", error);
  } finally {
    await stage.restore();
    await browser.close();
  }
  process.exitCode = stage.failed ? 1 : 0;
}

class Stage {
  failed = false;
  #name;
  #browser;
  #pages = [];
  #killed = new Set();
  // Accounts and rooms of an earlier run are in nobody's way.
  run = randomBytes(3).toString("hex");

  constructor(name, browser) {
    this.#name = name;
    this.#browser = browser;
  }

  /** One thing to look at. When it fails, the rest is looked at all the same. */
  async check(what, look) {
    try {
      const detail = await look();
      this.tell(what, "ok", detail ?? "");
    } catch (error) {
      const away = error instanceof NotAvailable;
      if (!away) await this.shoot(`failed-${what}`).catch(() => {});
      this.tell(what, away ? "n.a." : "FAIL", error);
    }
  }

  tell(what, outcome, detail) {
    if (outcome === "FAIL") this.failed = true;
    const words = detail instanceof Error ? detail.message.split("\n")[0] : detail;
    console.log([what, outcome, words.replaceAll(/\s+/g, " ").trim()].join("\t"));
  }

  /** A page of its own for somebody; `options` are those of a browser's context. */
  async page(options = {}) {
    const context = await this.#browser.newContext({ baseURL: URL_OF_APPS, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    return this.tab(context);
  }

  /** One more tab of the same person. */
  async tab(context) {
    const page = await context.newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(String(error)));
    this.#pages.push(page);
    return page;
  }

  /** A page of somebody who has an account and is logged in. */
  async person(name, path = "/join", options = {}) {
    const page = await this.page(options);
    const username = `${name}-${this.run}`;
    await call("/api/auth/signup", { username, password: PASSWORD });
    await logIn(page, username, path);
    page.username = username;
    return page;
  }

  /** A picture of every page that is open. */
  async shoot(what) {
    const open = this.#pages.filter((page) => !page.isClosed());
    for (const [index, page] of open.entries()) {
      const file = `${this.#name}-${what}-${index}`.replaceAll(/[^\w-]+/g, "-");
      await page.screenshot({ path: join(SHOTS, `${file}.png`) });
    }
  }

  /** The parts that run, of a kind: `chat`, `pod`, `broker`, `redis`, `database`. */
  async instances(kind) {
    const response = await fetch(`${URL_OF_APPS}/demo/api/instances`);
    const json = response.headers.get("content-type")?.includes("json");
    if (!response.ok || !json) throw missing(`nothing here tells what runs: ${response.status}`);
    const all = await response.json();
    return all.filter((instance) => instance.kind === kind);
  }

  /** Kills a part; it is started again at the latest when the script ends. */
  async kill(name) {
    await control(name, "kill");
    this.#killed.add(name);
  }

  async start(name) {
    await control(name, "start");
    this.#killed.delete(name);
  }

  /** Kills the first part of a kind, and gives its name. */
  async killKind(kind, which = () => true) {
    const found = (await this.instances(kind)).find(which);
    if (found === undefined) throw missing(`no ${kind} of its own in this set`, SET !== "servers");
    await this.kill(found.name);
    return found.name;
  }

  async restore() {
    for (const name of this.#killed) await control(name, "start").catch(() => {});
  }
}

/**
 * Something is not there. What a demo that was started for the test must have is not "n.a.": its
 * buttons, and in the set `servers` a process for each part.
 */
function missing(words, may = SET === undefined) {
  return may ? new NotAvailable(words) : new Error(words);
}

async function control(name, what) {
  const path = `/demo/api/instances/${encodeURIComponent(name)}/${what}`;
  const response = await fetch(URL_OF_APPS + path, { method: "POST" });
  if (response.status === 404) throw missing(`${name} cannot be told to ${what}`);
  assert.ok(response.ok, `${what} ${name}: ${response.status}`);
}

/** A request with a body, and its answer. */
export async function call(path, body, headers = {}) {
  const response = await fetch(URL_OF_APPS + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  let parsed = {};
  try {
    parsed = JSON.parse(text);
  } catch {
    // The status says what there is to say.
  }
  return { status: response.status, headers: response.headers, body: parsed };
}

export async function logIn(page, username, path = "/join", password = PASSWORD) {
  await page.goto(`/login?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Login" }).click();
  await page.waitForURL((url) => url.pathname !== "/login");
}

/** Looks again and again until `look` gives something; fails when it is patient no more. */
export async function until(what, look, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    assert.ok(Date.now() < end, `not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// A room, as a person sees it.

export async function enter(page, room) {
  await page.goto(`/chat?room=${encodeURIComponent(room)}`);
  await connected(page);
  await page.getByText(`You joined ${room} 🎉`).waitFor();
}

export async function connected(page, patience = PATIENCE_MS) {
  await page.getByText("Connected", { exact: true }).waitFor({ state: "attached", timeout: patience });
}

export async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

/** The message with this text, in the list. */
export function message(page, text) {
  return page.getByRole("log").getByRole("article").filter({ hasText: text });
}

export async function sees(page, text, patience = PATIENCE_MS) {
  await message(page, text).first().waitFor({ timeout: patience });
}

export async function count(page, text) {
  return message(page, text).count();
}

/** Waits until the message has this tick. */
export async function tick(page, text, name, patience = PATIENCE_MS) {
  const found = message(page, text).getByRole("img", { name });
  await found.first().waitFor({ timeout: patience });
}

/** The name of the server that the page is connected to. */
export async function server(page) {
  const chip = page.getByTitle("The server that this page is connected to");
  return (await chip.innerText()).replace("Server", "").trim();
}

/** Whether the page counts as looked at. */
export async function lookAt(page, visible) {
  await page.evaluate((visible) => {
    const state = visible ? "visible" : "hidden";
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    Object.defineProperty(document, "hidden", { value: !visible, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, visible);
}
