// Two people talk while parts of the applications are away: nothing is lost, nothing comes twice.
import assert from "node:assert/strict";
import { connected, count, enter, message, run, say, sees, server, tick, until } from "./stage.js";

await run("2-broken", async (stage) => {
  const room = `broken ${stage.run}`;
  const [ann, bob] = [await stage.person("ann"), await stage.person("bob")];
  await enter(ann, room);
  await enter(bob, room);
  await say(ann, "before it all");
  await sees(bob, "before it all");

  await stage.check("without the broker: sending, then not sent", async () => {
    const broker = await stage.killKind("broker");
    await say(ann, "into the void");
    await message(ann, "into the void").getByRole("img", { name: "Sending" }).waitFor();
    await message(ann, "into the void").getByRole("button", { name: "Retry" }).waitFor();
    assert.equal(await count(bob, "into the void"), 0, "shown before it was in the log");
    await stage.shoot("not-sent");
    await stage.start(broker);
  });

  await stage.check("with the broker back: a retry, and one copy", async () => {
    if ((await count(ann, "into the void")) === 0) return "nothing to retry";
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
    await say(ann, "no fast path");
    await sees(bob, "no fast path");
    await stage.start(redis);
  });

  await stage.check("without the database: the chat goes on", async () => {
    const database = await stage.killKind("database");
    await say(bob, "nobody writes this down yet");
    await sees(ann, "nobody writes this down yet");
    await stage.start(database);
  });

  await stage.check("with the database back: the history is complete", async () => {
    await until("the history", async () => {
      await bob.reload();
      await connected(bob);
      await sees(bob, "before it all", 3_000);
      return (await count(bob, "into the void")) <= 1;
    }, 60_000);
    assert.equal(await count(bob, "before it all"), 1);
  });

  await stage.check("the instance under a tab is killed: nothing is missing, nothing double", async () => {
    const name = await server(ann);
    await stage.kill(name);
    await ann.getByText(/Reconnecting/).first().waitFor();
    await stage.shoot("reconnecting");
    const said = Array.from({ length: 10 }, (_, index) => `while away ${index + 1}.`);
    if ((await server(bob)) === name) await connected(bob);
    for (const text of said) await say(bob, text);
    await connected(ann);
    for (const text of said) await sees(ann, text);
    const copies = await Promise.all(said.map((text) => count(ann, text)));
    assert.deepEqual(copies, said.map(() => 1));
    const now = await server(ann);
    assert.notEqual(now, name);
    await stage.start(name);
    return `${name}, then ${now}`;
  });

  await stage.check("both have the same messages in the same order", async () => {
    await settled(ann, bob);
  });

  await stage.check("no page had an error", async () => {
    assert.deepEqual([...ann.problems, ...bob.problems], []);
  });
});

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
