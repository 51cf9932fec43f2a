// Three people write to one who is away.
import assert from "node:assert/strict";
import { call, run, until } from "./stage.js";

await run("7-unsent", async (stage) => {
  const who = `away-${stage.run}`;
  const senders = ["alice", "carol", "dave"];

  const page = await stage.page();

  await stage.check("three who write are three cards, while the page looks", async () => {
    await page.goto(`/unsent?who=${who}`);
    await page.getByText("Nobody wrote while you were away.").waitFor();
    for (const fromuser of [...senders, "alice"]) {
      const body = { touser: who, fromuser, message: `from ${fromuser}` };
      const { status } = await call("/unsent/api/messages", body);
      assert.equal(status, 202);
    }
    await page.getByText("While you were away: 3 people wrote to you").waitFor();
    await until("four messages", async () => (await total(page)) === 4);
    await stage.shoot("cards");
  });

  await stage.check("a reload says the same", async () => {
    await page.reload();
    await page.getByText("While you were away: 3 people wrote to you").waitFor();
    assert.equal(await total(page), 4);
  });

  await stage.check("opening a card shows what waits", async () => {
    const card = page.getByRole("listitem").filter({ hasText: "alice" }).first();
    await card.getByRole("button", { name: "Open" }).click();
    await until("both messages", async () => (await card.getByText("from alice").count()) >= 2);
  });

  await stage.check("with the master cut it still answers, and says so", async () => {
    await page.getByRole("button", { name: "Cut the master" }).click();
    await page.getByText("The master is cut off.").waitFor();
    await page.reload();
    await page.getByText("While you were away: 3 people wrote to you").waitFor();
    await page.getByText("Answered by the auxiliary").waitFor();
    await stage.shoot("cut");
  });

  await stage.check("joined again: the same numbers", async () => {
    await page.getByRole("button", { name: "Join the master again" }).click();
    await page.getByRole("button", { name: "Cut the master" }).waitFor();
    await page.reload();
    await until("four messages", async () => (await total(page)) === 4);
  });

  const card = (name) => page.getByRole("listitem").filter({ hasText: name }).first();
  const open = (name) => card(name).getByRole("button", { name: "Open" }).click();

  await stage.check("a master that comes back empty is filled again", async () => {
    const master = await stage.killKind("redis", (each) => each.name === "redis");
    await stage.start(master);
    // Numbers without texts would be no use: the card is opened, and shows both.
    await until("four messages, and the texts of them", async () => {
      await page.reload();
      await card("alice").waitFor({ timeout: 2_000 });
      await open("alice");
      const texts = card("alice").getByRole("list").getByText("from alice");
      await texts.nth(1).waitFor({ timeout: 2_000 });
      return (await total(page)) === 4;
    }, 60_000);
    await stage.shoot("rebuilt");
  });

  await stage.check("what was dismissed waits no more", async () => {
    await open("dave");
    await card("dave").getByRole("list").getByText("from dave").waitFor();
    await card("dave").getByRole("button", { name: "Dismiss" }).click();
    await page.getByText("While you were away: 2 people wrote to you").waitFor();
    await card("alice").getByRole("button", { name: "Dismiss" }).click();
    await page.getByText("While you were away: 1 person wrote to you").waitFor();
    await page.reload();
    await page.getByText("While you were away: 1 person wrote to you").waitFor();
  });

  await stage.check("the page had no error", async () => assert.deepEqual(page.problems, []));
});

/** The sum of what the cards say. */
async function total(page) {
  const badges = await page.getByText(/^\d+ messages?$/).allInnerTexts();
  return badges.reduce((sum, text) => sum + Number.parseInt(text, 10), 0);
}
