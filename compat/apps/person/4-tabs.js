// Two tabs of one person, and what counts as unread.
import assert from "node:assert/strict";
import { count, enter, run, say, sees, until } from "./stage.js";

await run("4-tabs", async (stage) => {
  const room = `tabs ${stage.run}`;
  const [ann, bob] = [await stage.person("ann"), await stage.person("bob")];
  await enter(ann, room);
  const second = await stage.tab(ann.context());
  await enter(second, room);
  await enter(bob, room);

  await stage.check("both tabs get everything, also what the other wrote", async () => {
    await say(bob, "to both");
    await say(ann, "from the first");
    await say(second, "from the second");
    for (const page of [ann, second, bob]) {
      for (const text of ["to both", "from the first", "from the second"]) {
        await sees(page, text);
        assert.equal(await count(page, text), 1, text);
      }
    }
  });

  await stage.check("closing one tab takes nothing from the other", async () => {
    await second.close();
    await say(bob, "still there?");
    await sees(ann, "still there?");
    assert.equal(await ann.getByText(`${ann.username} left`).count(), 0);
  });

  await stage.check("the list of rooms counts what is new", async () => {
    await ann.goto("/join");
    await listed(ann, room, 0);
    for (const text of ["one", "two", "three"]) await say(bob, `news ${text}`);
    await listed(ann, room, 3);
    await stage.shoot("unread");
  });

  await stage.check("opening the room clears it, with the place of the new ones marked", async () => {
    await ann.getByRole("link", { name: new RegExp(room) }).click();
    await ann.getByText("New messages", { exact: true }).waitFor();
    await sees(ann, "news three");
    await stage.shoot("divider");
    await listedElsewhere(stage, ann, room, 0);
  });

  await stage.check("what comes while it is open is read", async () => {
    await say(bob, "while you look");
    await sees(ann, "while you look");
    await listedElsewhere(stage, ann, room, 0);
  });

  await stage.check("no page had an error", async () => {
    assert.deepEqual([...ann.problems, ...bob.problems], []);
  });
});

/** Waits until the list of rooms says so. */
async function listed(page, room, unread) {
  const link = page.getByRole("link", { name: new RegExp(room) });
  await link.waitFor();
  const words = unread === 0 ? undefined : `${unread} unread`;
  await until(`${unread} unread in ${room}`, async () => {
    const text = await link.innerText();
    return words === undefined ? !text.includes("unread") : text.includes(words);
  });
}

/** The same on a page of the same person that is not in the room. */
async function listedElsewhere(stage, page, room, unread) {
  const list = await stage.tab(page.context());
  await list.goto("/join");
  await listed(list, room, unread);
  await list.close();
}
