// Two people sign up, log in, and talk in a room while they are on different servers.
import assert from "node:assert/strict";
import { connected, count, lookAt, message, run, say, sees, server, tick, until } from "./stage.js";

const PASSWORD = "correct horse battery";

await run("1-chat", async (stage) => {
  const room = `general ${stage.run}`;
  const [ann, bob] = [await stage.page(), await stage.page()];

  await stage.check("signing up, logging in and joining by the pages", async () => {
    for (const [page, name] of [[ann, "ann"], [bob, "bob"]]) {
      await page.goto("/");
      await page.getByRole("heading", { name: "Real-Time Distributed Chat" }).waitFor();
      await page.getByRole("link", { name: "Create a new Account" }).click();
      await page.getByLabel("Username").fill(`${name}-${stage.run}`);
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign up" }).click();
      await page.waitForURL("**/login**");
      await page.getByLabel("Username").fill(`${name}-${stage.run}`);
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByRole("button", { name: "Login" }).click();
      await page.waitForURL("**/join");
    }
  });

  await stage.check("no room without a name", async () => {
    await ann.getByRole("button", { name: "Join" }).click();
    await ann.getByText("Why the hurry? Enter a room name first!").waitFor();
  });

  await stage.check("joining is told, with the server's name", async () => {
    await join(ann, room);
    await join(bob, room);
    const [one, two] = [await server(ann), await server(bob)];
    await ann.getByText(`bob-${stage.run} joined from server ${two} 🎉`).waitFor();
    assert.notEqual(one, two, "both are on the same server");
    return `${one} and ${two}`;
  });

  await stage.check("talking both ways", async () => {
    await say(ann, "Hello Bob");
    await sees(bob, "Hello Bob");
    await say(bob, "Hello Ann");
    await sees(ann, "Hello Ann");
  });

  await stage.check("ticks: a clock, one, two, two in blue, and never back", async () => {
    await lookAt(bob, false);
    await watchTicks(ann);
    await say(ann, "How far am I?");
    await tick(ann, "How far am I?", "Delivered to everybody here");
    await lookAt(bob, true);
    await tick(ann, "How far am I?", "Read by everybody");
    const seen = await ann.evaluate(() => window.ticks);
    const order = ["Sending", "Sent", "Delivered to everybody here", "Read by everybody"];
    const places = seen.map((name) => order.indexOf(name));
    assert.deepEqual(places, [...places].sort(), seen.join(", "));
    assert.ok(seen.includes("Sending"), seen.join(", "));
    return seen.join(", ");
  });

  await stage.check("Shift+Enter begins a line, Enter sends", async () => {
    await bob.getByLabel("Message", { exact: true }).click();
    await bob.keyboard.type("first line");
    await bob.keyboard.press("Shift+Enter");
    await bob.keyboard.type("second line");
    await bob.keyboard.press("Enter");
    await sees(ann, "first line");
    assert.match(await message(ann, "first line").innerText(), /first line\nsecond line/);
  });

  await stage.check("somebody writes", async () => {
    const typing = ann.getByText(`bob-${stage.run} is typing…`);
    await until("the typing line", async () => {
      await bob.getByLabel("Message", { exact: true }).pressSequentially("w");
      return typing.isVisible();
    });
    await bob.getByLabel("Message", { exact: true }).fill("");
  });

  await stage.check("the emoji picker, by its own search", async () => {
    await ann.getByRole("button", { name: "Emoji" }).click();
    await ann.getByRole("combobox").fill("rocket");
    await ann.getByRole("option", { name: /rocket/ }).first().click();
    await stage.shoot("emoji");
    await ann.keyboard.press("Escape");
    await ann.keyboard.press("Enter");
    await sees(bob, "🚀");
  });

  await stage.check("a reload keeps the history and its times", async () => {
    const before = await until("the history", () => history(ann));
    await ann.reload();
    await connected(ann);
    await sees(ann, "How far am I?");
    const after = await until("all of it", async () => {
      const now = await history(ann);
      return now.length === before.length && now;
    });
    assert.deepEqual(after, before);
    assert.equal(await count(ann, "How far am I?"), 1);
    return `${after.length} messages`;
  });

  await stage.shoot("talk");

  await stage.check("leaving is told", async () => {
    await bob.getByRole("button", { name: "Leave Room" }).click();
    await bob.waitForURL("**/join");
    await ann.getByText(`bob-${stage.run} left`).waitFor();
  });

  await stage.check("no page had an error", async () => {
    assert.deepEqual([...ann.problems, ...bob.problems], []);
  });
});

async function join(page, room) {
  await page.getByLabel("Room name").fill(room);
  await page.getByRole("button", { name: "Join" }).click();
  await connected(page);
  await page.getByText(`You joined ${room} 🎉`).waitFor();
}

/** Remembers every tick that the last own message shows. */
async function watchTicks(page) {
  await page.evaluate(() => {
    window.ticks = [];
    new MutationObserver(() => {
      const own = [...document.querySelectorAll("article[data-own=true]")].at(-1);
      if (!own?.textContent.includes("How far am I?")) return;
      const name = own.querySelector("[role=img]")?.getAttribute("aria-label");
      if (name && window.ticks.at(-1) !== name) window.ticks.push(name);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
}

/** Text and time of every message. */
async function history(page) {
  return page.getByRole("log").getByRole("article").evaluateAll((all) =>
    all.map((each) => [each.querySelector("time").dateTime, each.querySelector("time").title]),
  );
}
