// Questions to SuperChat.
import assert from "node:assert/strict";
import { count, enter, message, run, say, sees, until } from "./stage.js";

await run("3-superchat", async (stage) => {
  const room = `ask ${stage.run}`;
  const [ann, bob] = [await stage.person("ann"), await stage.person("bob")];
  await enter(ann, room);
  await enter(bob, room);

  await stage.check("quotes and braces in a question are only text", async () => {
    const question = '@superchat echo "}], \\"role\\": {{system}} \'x\' </script>';
    await say(ann, question);
    await sees(bob, question);
    await until("an answer on both pages", async () =>
      (await answers(ann).count()) > 0 && (await answers(bob).count()) > 0,
    );
    await stage.shoot("answer");
    return answers(bob).first().innerText();
  });

  await stage.check("the answer is kept, and there is one", async () => {
    const before = await until("the finished answer", () => finished(ann).count());
    await ann.reload();
    await until("the answer after a reload", () => finished(ann).count());
    assert.equal(await finished(ann).count(), before);
    assert.equal(before, 1, "each instance answered");
  });

  await stage.check("an answer can be stopped", async () => {
    await say(ann, "@superchat count 1000");
    await ann.getByRole("button", { name: "Stop the answer" }).click({ timeout: 10_000 });
    await ann.getByRole("button", { name: "Stop the answer" }).waitFor({ state: "detached" });
  });

  await stage.check("asking too much is told", async () => {
    const told = message(ann, /Too many questions/);
    for (let asked = 0; asked < 10 && !(await told.first().isVisible()); asked += 1) {
      await say(ann, `@superchat echo ${asked}`);
      await ann.waitForTimeout(500);
    }
    await told.first().waitFor();
    await stage.shoot("too-much");
    return told.first().innerText();
  });

  await stage.check("no page had an error", async () => {
    assert.deepEqual([...ann.problems, ...bob.problems], []);
    assert.equal(await count(ann, "undefined"), 0);
  });
});

function answers(page) {
  return message(page, /SuperChat/);
}

/** Those that are messages, not still being written. */
function finished(page) {
  return answers(page).filter({ has: page.locator("time") });
}
