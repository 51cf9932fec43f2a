// Two people talk while parts of the applications are away: nothing is lost, nothing comes twice.
import assert from "node:assert/strict";
import {
  NotAvailable, connected, count, enter, message, run, say, sees, server, tick, until,
} from "./stage.js";

await run("2-broken", async (stage) => {
  const room = `broken ${stage.run}`;
  const [ann, bob] = [await stage.person("ann"), await stage.person("bob")];
  const said = [];
  const speak = async (page, text) => {
    await say(page, text);
    said.push(text);
  };
  const once = (page) => async () => (await counts(page, said)).every((copies) => copies === 1);
  await enter(ann, room);
  await enter(bob, room);
  await speak(ann, "before it all");
  await sees(bob, "before it all");

  await stage.check("without the broker: sending, then not sent", async () => {
    const broker = await stage.killKind("broker");
    await speak(ann, "into the void");
    await message(ann, "into the void").getByRole("img", { name: "Sending" }).waitFor();
    await message(ann, "into the void").getByRole("button", { name: "Retry" }).waitFor();
    assert.equal(await count(bob, "into the void"), 0, "shown before it was in the log");
    await stage.shoot("not-sent");
    await stage.start(broker);
  });

  await stage.check("with the broker back: a retry, and one copy", async () => {
    if (!said.includes("into the void")) throw new NotAvailable("nothing was sent while it was away");
    const retry = message(ann, "into the void").getByRole("button", { name: "Retry" });
    // The broker takes a moment to be back; each try is the same message.
    await until("the message to be sent", async () => {
      if (await retry.isVisible()) await retry.click();
      return (await count(bob, "into the void")) > 0;
    }, 60_000);
    await tick(ann, "into the void", /Sent|Delivered|Read/);
    await settled(ann, bob);
    assert.deepEqual([await count(ann, "into the void"), await count(bob, "into the void")], [1, 1]);
  });

  await stage.check("without Redis: delivered all the same", async () => {
    const redis = await stage.killKind("redis", (each) => each.name === "redis");
    await speak(ann, "no fast path");
    await sees(bob, "no fast path");
    await stage.start(redis);
  });

  await stage.check("without the database: the chat goes on", async () => {
    const database = await stage.killKind("database");
    await speak(bob, "nobody writes this down yet");
    await sees(ann, "nobody writes this down yet");
    await stage.start(database);
  });

  await stage.check("with the database back: the history is complete", async () => {
    await until("the history", async () => {
      await bob.reload();
      await connected(bob);
      await until("every message once", once(bob), 3_000);
      return true;
    }, 60_000);
  });

  await stage.check("the instance under a tab is killed: nothing is missing, nothing double", async () => {
    const name = await server(ann);
    await stage.kill(name);
    await ann.getByText(/Reconnecting/).first().waitFor();
    await stage.shoot("reconnecting");
    const meanwhile = Array.from({ length: 10 }, (_, index) => `while away ${index + 1}.`);
    if ((await server(bob)) === name) await connected(bob);
    for (const text of meanwhile) await speak(bob, text);
    await connected(ann);
    for (const text of meanwhile) await sees(ann, text);
    assert.deepEqual(await counts(ann, meanwhile), meanwhile.map(() => 1));
    const now = await server(ann);
    assert.notEqual(now, name);
    await stage.start(name);
    return `${name}, then ${now}`;
  });

  await stage.check("both have the same messages in the same order", async () => {
    await settled(ann, bob);
    for (const page of [ann, bob]) assert.deepEqual(await counts(page, said), said.map(() => 1));
  });

  await stage.check("no page had an error", async () => {
    assert.deepEqual([...ann.problems, ...bob.problems], []);
  });
});

/** How often a page shows each of these. */
function counts(page, texts) {
  return Promise.all(texts.map((text) => count(page, text)));
}

/** Waits until both have the same messages, by the times that the log gave them, in one order. */
async function settled(one, other) {
  const times = (page) =>
    page.getByRole("log").getByRole("article").locator("time").evaluateAll((all) =>
      all.map((each) => each.dateTime),
    );
  await until("both to see the same", async () => {
    const [a, b] = [await times(one), await times(other)];
    return a.length > 0 && JSON.stringify(a) === JSON.stringify(b);
  });
}
