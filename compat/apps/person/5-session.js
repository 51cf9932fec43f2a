// Tokens that end, stolen refresh tokens, pages of others, guessed passwords.
import assert from "node:assert/strict";
import { request } from "node:http";
import { call, enter, logIn, run, say, sees, tick, until, URL_OF_APPS } from "./stage.js";

const MINUTE = 60_000;
// What the demo allows for one name.
const LOGINS_PER_MINUTE = 5;

await run("5-session", async (stage) => {
  await stage.check("a token that ends while the page is open is renewed, and the talk goes on", async () => {
    const page = await stage.page();
    const username = `clock-${stage.run}`;
    await call("/api/auth/signup", { username, password: "correct horse battery" });
    await page.clock.install();
    await logIn(page, username);
    await enter(page, `session ${stage.run}`);
    const token = () => page.evaluate(() => localStorage.getItem("go-chat-token"));
    const before = await token();
    // Tokens of one second are the same: a moment, so that the next one differs.
    await page.clock.runFor(2_000);
    await page.clock.fastForward(15 * MINUTE);
    await until("another token", async () => (await token()) !== before && (await token()) !== null);
    await say(page, "still here");
    await tick(page, "still here", /Sent|Delivered|Read/);
  });

  await stage.check("a refresh token that is used twice ends the session everywhere", async () => {
    const username = `thief-${stage.run}`;
    const account = { username, password: "correct horse battery" };
    await call("/api/auth/signup", account);
    const first = cookie(await call("/api/auth/login", account));
    const second = cookie(await call("/api/auth/refresh", {}, { cookie: first }));
    assert.ok(first !== "" && second !== "" && first !== second);
    // Whoever has the second one uses it: the first is in two hands then.
    const third = cookie(await call("/api/auth/refresh", {}, { cookie: second }));
    // Two requests of one browser may cross: only later it is a theft.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    assert.equal((await call("/api/auth/refresh", {}, { cookie: first })).status, 401);
    assert.equal((await call("/api/auth/refresh", {}, { cookie: third })).status, 401);
  });

  await stage.check("who logs out in one tab is logged out in all", async () => {
    const page = await stage.person("two");
    const other = await stage.tab(page.context());
    await other.goto("/join");
    await other.getByRole("heading", { name: "Join a room" }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await other.waitForURL("**/login**");
  });

  await stage.check("a socket for a page of another site is refused", async () => {
    assert.equal(await upgrade("/ws/chat?ticket=x", "https://evil.example"), 403);
    return "403";
  });

  await stage.check("a page that needs an account asks for one, and comes back", async () => {
    const page = await stage.page();
    await page.goto("/chat?room=elsewhere");
    await page.waitForURL("**/login?next=**");
    const username = `next-${stage.run}`;
    await call("/api/auth/signup", { username, password: "correct horse battery" });
    await page.getByLabel("Username").fill(username);
    await page.getByLabel("Password").fill("correct horse battery");
    await page.getByRole("button", { name: "Login" }).click();
    await page.waitForURL("**/chat?room=elsewhere");
  });

  await stage.check("guessing passwords is slowed down, in clear words", async () => {
    const page = await stage.page();
    await page.goto("/login");
    await page.getByLabel("Username").fill(`guess-${stage.run}`);
    const told = page.getByText(/Too many tries/);
    let tries = 0;
    while (!(await told.isVisible())) {
      assert.ok((tries += 1) <= LOGINS_PER_MINUTE + 1, "more tries than a minute has");
      await page.getByLabel("Password").fill(`guess number ${tries}`);
      await page.getByRole("button", { name: "Login" }).click();
      await page.getByRole("alert").filter({ hasText: /\S/ }).waitFor();
      await page.getByRole("button", { name: "Login", exact: true }).waitFor();
    }
    // However many instances there are: they count together.
    assert.equal(tries, LOGINS_PER_MINUTE + 1);
    await stage.shoot("slowed-down");
    return `try ${tries}: ${await told.innerText()}`;
  });

  await stage.check("text of others is text", async () => {
    const page = await stage.person("script");
    await enter(page, `text ${stage.run}`);
    await say(page, '<img src=x onerror="window.hit=1"> javascript:alert(1)');
    await sees(page, "<img src=x");
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.equal(await page.getByRole("log").getByRole("link").count(), 0);
  });
});

function cookie({ headers }) {
  const set = headers.getSetCookie().find((each) => each.startsWith("refresh=")) ?? "";
  return set.split(";")[0];
}

/** Asks for a socket as a browser would for a page of `origin`; the status that comes back. */
function upgrade(path, origin) {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    origin,
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  return new Promise((resolve, reject) => {
    const asked = request(URL_OF_APPS + path, { headers });
    asked.on("response", (response) => {
      // Unread, it would hold its connection, and this program.
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response.statusCode);
    });
    asked.on("error", reject);
    asked.end();
  });
}
