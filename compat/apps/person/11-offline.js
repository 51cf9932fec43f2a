// The pages load nothing from elsewhere, and go on when the browser has no network for a while.
import assert from "node:assert/strict";
import { connected, enter, message, run, say, sees, tick, URL_OF_APPS } from "./stage.js";

await run("11-offline", async (stage) => {
  const elsewhere = [];
  const ann = await stage.person("ann");
  const here = new URL(URL_OF_APPS).host;
  ann.context().on("request", (request) => {
    const { host, protocol } = new URL(request.url());
    if (host !== here && protocol !== "data:" && protocol !== "blob:") elsewhere.push(request.url());
  });

  await stage.check("every page opens", async () => {
    for (const path of ["/", "/signup", "/login", "/join", "/dm", "/unsent"]) {
      const response = await ann.goto(path);
      assert.equal(response.status(), 200, path);
      await ann.getByRole("main").waitFor();
    }
    await enter(ann, `offline ${stage.run}`);
    await ann.getByRole("button", { name: "Emoji" }).click();
    await ann.getByRole("combobox").fill("sun");
    await ann.getByRole("option").first().waitFor();
    await ann.keyboard.press("Escape");
  });

  await stage.check("nothing comes from elsewhere", async () => assert.deepEqual(elsewhere, []));

  await stage.check("without a network the page says so, and what is written waits", async () => {
    const bob = await stage.person("bob");
    await enter(bob, `offline ${stage.run}`);
    await ann.context().setOffline(true);
    await ann.getByText("You are offline.").waitFor();
    await say(ann, "written offline");
    await message(ann, "written offline").getByRole("img", { name: "Sending" }).waitFor();
    await stage.shoot("offline");
    await ann.context().setOffline(false);
    await connected(ann);
    await sees(bob, "written offline");
    await tick(ann, "written offline", /Sent|Delivered|Read/);
  });

  await stage.check("the page had no error", async () => assert.deepEqual(ann.problems, []));
});
