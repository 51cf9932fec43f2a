// Pages on which nobody says anything for a while stay connected, through whatever stands in front.
import assert from "node:assert/strict";
import { call, connected, enter, run, say, sees } from "./stage.js";

// nginx gives up on a silent connection after 300 s; APPS_IDLE_S=600 shows that pings keep it.
const IDLE_MS = 1000 * Number(process.env.APPS_IDLE_S ?? 80);
// The servers give up on a page that answers none of three pings.
const GIVEN_UP_MS = 75_000;

await run("13-idle", async (stage) => {
  const room = `idle ${stage.run}`;
  const [ann, bob] = [await stage.person("ann"), await stage.person("bob")];
  const direct = await stage.person("carol", "/dm");
  const who = `idle-${stage.run}`;
  const unsent = await stage.page();
  await enter(ann, room);
  await enter(bob, room);
  await connected(direct);
  await unsent.goto(`/unsent?who=${who}`);
  await unsent.getByText("Nobody wrote while you were away.").waitFor();

  const opened = [];
  for (const page of [ann, bob, direct]) page.on("websocket", (socket) => opened.push(socket.url()));
  unsent.on("request", (request) => {
    if (request.resourceType() === "eventsource") opened.push(request.url());
  });

  await stage.check(`after ${IDLE_MS / 1000} s of silence nobody had to connect again`, async () => {
    assert.ok(IDLE_MS > GIVEN_UP_MS, `nobody is given up before ${GIVEN_UP_MS / 1000} s`);
    await ann.waitForTimeout(IDLE_MS);
    assert.deepEqual(opened, []);
    for (const page of [ann, bob, direct]) await connected(page, 1_000);
  });

  await stage.check("what is said then comes over the same connections", async () => {
    await say(ann, "anybody still here?");
    await sees(bob, "anybody still here?");
    const body = { touser: who, fromuser: "alice", message: "and you?" };
    assert.equal((await call("/unsent/api/messages", body)).status, 202);
    await unsent.getByText("While you were away: 1 person wrote to you").waitFor();
    assert.deepEqual(opened, []);
  });

  await stage.check("no page had an error", async () => {
    for (const page of [ann, bob, direct, unsent]) assert.deepEqual(page.problems, []);
  });
});
