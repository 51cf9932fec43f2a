// Direct messages over three pods.
import assert from "node:assert/strict";
import { connected, count, run, say, sees, tick, until } from "./stage.js";

await run("6-dm", async (stage) => {
  const ann = await stage.person("ann", "/dm");
  const other = `bob-${stage.run}`;
  await connected(ann);

  await stage.check("to somebody who is away: stored, and it stays so", async () => {
    // Bob has an account, and nothing open.
    const bob = await stage.person("bob", "/join");
    await bob.close();
    await ann.goto(`/dm?with=${other}`);
    await connected(ann);
    await say(ann, "are you there?");
    await tick(ann, "are you there?", /Stored|Sent/);
    await ann.waitForTimeout(1_000);
    await tick(ann, "are you there?", /^(Stored|Sent)$/);
    await stage.shoot("away");
  });

  let bob;
  await stage.check("when they come: a badge, the message, two ticks", async () => {
    bob = await stage.person("bob", "/dm");
    await connected(bob);
    await bob.getByText(`1 from ${ann.username}`).waitFor({ state: "attached" });
    await stage.shoot("badge");
    await tick(ann, "are you there?", "Delivered");
    await bob.goto(`/dm?with=${ann.username}`);
    await sees(bob, "are you there?");
    assert.equal(await count(bob, "are you there?"), 1);
  });

  await stage.check("talking both ways", async () => {
    await say(bob, "here I am");
    await sees(ann, "here I am");
    await say(ann, "good");
    await tick(ann, "good", "Delivered");
  });

  await stage.check("the drawer draws three pods, and who is where", async () => {
    await ann.getByRole("button", { name: "Pods" }).click();
    const drawer = ann.getByRole("complementary", { name: "Pods" });
    for (const pod of ["pod-1", "pod-2", "pod-3"]) await drawer.getByText(pod).first().waitFor();
    await drawer.getByText(other).first().waitFor();
    await stage.shoot("pods");
    await drawer.getByRole("button", { name: "Close" }).click();
  });

  await stage.check("a pod killed in the middle of a talk: in order, and none twice", async () => {
    const pod = (await bob.locator("main header").innerText()).match(/pod-\d/)?.[0];
    assert.ok(pod, "the page does not say which pod it is on");
    const said = Array.from({ length: 12 }, (_, index) => `line ${index + 1}.`);
    for (const text of said.slice(0, 6)) await say(ann, text);
    await stage.kill(pod);
    for (const text of said.slice(6)) await say(ann, text);
    await connected(bob, 40_000);
    for (const text of said) await sees(bob, text, 40_000);
    for (const text of said) await tick(ann, text, "Delivered", 40_000);
    const shown = await lines(bob);
    assert.deepEqual(shown, said);
    await stage.start(pod);
    return pod;
  });

  await stage.check("after a reload both have the same", async () => {
    for (const page of [ann, bob]) {
      await page.reload();
      await connected(page);
      await until("the thread", async () => (await lines(page)).length === 12);
    }
    assert.deepEqual(await lines(ann), await lines(bob));
  });

  await stage.check("no page had an error", async () => {
    assert.deepEqual([...ann.problems, ...bob.problems], []);
  });
});

async function lines(page) {
  const all = await page.getByRole("log").getByRole("article").allInnerTexts();
  return all.map((text) => text.match(/line \d+\./)?.[0]).filter(Boolean);
}
