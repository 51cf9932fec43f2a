// A phone's width, the dark, the keyboard alone, less motion, names for screen readers, weight.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { URL_OF_APPS, call, connected, enter, run, say, sees, tick } from "./stage.js";

const PHONE = { viewport: { width: 390, height: 800 } };
const FIRST_LOAD_BYTES = 200 * 1024;

await run("12-look", async (stage) => {
  const room = `look ${stage.run}`;
  const pages = ["/", "/join", `/chat?room=${encodeURIComponent(room)}`, "/dm?with=somebody", "/unsent?who=bob"];

  for (const [look, options] of [
    ["phone", PHONE],
    ["dark phone", { ...PHONE, colorScheme: "dark" }],
    ["dark", { colorScheme: "dark" }],
  ]) {
    await stage.check(`${look}: every page fits, and has the colours`, async () => {
      const page = await stage.person(look.replace(" ", "-"), "/join", options);
      for (const path of pages) {
        await page.goto(path);
        await page.getByRole("main").waitFor();
        if (path.startsWith("/chat")) await say(page, `Written on a ${look}`);
        await page.waitForTimeout(300);
        const { width, scroll, light } = await page.evaluate(measure);
        assert.ok(scroll <= width, `${path} is ${scroll} wide in ${width}`);
        assert.equal(light < 0.5, options.colorScheme === "dark", `${path} has lightness ${light}`);
        await stage.shoot(`${look}-${path.slice(1).split("?")[0] || "landing"}`);
      }
      await page.close();
    });
  }

  await stage.check("the keyboard alone: logging in, joining, writing, leaving", async () => {
    const username = `keys-${stage.run}`;
    const password = "correct horse battery";
    await call("/api/auth/signup", { username, password });
    const page = await stage.page();
    await page.goto("/login");
    await page.getByLabel("Username").waitFor();
    await page.keyboard.type(username);
    await page.keyboard.press("Tab");
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/join");
    await page.getByLabel("Room name").waitFor();
    await page.keyboard.type(room);
    await page.keyboard.press("Enter");
    await connected(page);
    await page.keyboard.type("by keys");
    await page.keyboard.press("Enter");
    await tick(page, "by keys", /Sent|Delivered|Read/);
    await press(page, "Leave Room");
    await page.waitForURL("**/join");
    await page.close();
  });

  await stage.check("what has the focus can be seen", async () => {
    const page = await stage.person("focus");
    await page.getByLabel("Room name").waitFor();
    await page.keyboard.press("Tab");
    const { tag, outline } = await page.evaluate(() => ({
      tag: document.activeElement.tagName,
      outline: getComputedStyle(document.activeElement).outlineStyle,
    }));
    assert.notEqual(outline, "none", `the focus is on ${tag}`);
    await page.close();
  });

  await stage.check("less motion, for those who want less", async () => {
    const page = await stage.person("calm", "/join", { reducedMotion: "reduce" });
    await enter(page, room);
    await say(page, "calmly");
    await sees(page, "calmly");
    const moving = await page.evaluate(() =>
      document.getAnimations().filter((each) => each.effect.getComputedTiming().duration > 1).length,
    );
    assert.equal(moving, 0);
    await page.close();
  });

  await stage.check("everything that takes the focus has a name", async () => {
    const page = await stage.person("reader");
    for (const path of pages) {
      await page.goto(path);
      await page.getByRole("main").waitFor();
      await page.waitForTimeout(300);
      assert.deepEqual(await nameless(page), [], path);
      const headings = await page.getByRole("heading", { level: 1 }).count();
      assert.equal(headings, 1, `${path} has ${headings} first headings`);
      assert.notEqual(await page.title(), "", path);
    }
    await page.close();
  });

  await stage.check("pages come with what they may do, and files with how long they are good", async () => {
    const page = await fetch(`${URL_OF_APPS}/chat?room=any`);
    assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
    assert.equal(page.headers.get("cache-control"), "no-cache");
    const script = (await page.text()).match(/\/assets\/[^"]+\.js/)[0];
    const file = await fetch(URL_OF_APPS + script);
    assert.match(file.headers.get("cache-control"), /immutable/);
    assert.match(file.headers.get("content-type"), /^text\/javascript/);
    assert.equal((await fetch(`${URL_OF_APPS}/assets/nothing.js`)).status, 404);
  });

  await stage.check("a first visit is light", async () => {
    const page = await stage.page();
    const bodies = [];
    page.on("response", (response) => bodies.push(response.body().catch(() => Buffer.alloc(0))));
    await page.goto("/");
    await page.getByRole("main").waitFor();
    const sizes = (await Promise.all(bodies)).map((body) => gzipSync(body).length);
    const sum = sizes.reduce((all, size) => all + size, 0);
    assert.ok(sum <= FIRST_LOAD_BYTES, `${sum} bytes`);
    return `${Math.round(sum / 1024)} KiB compressed`;
  });
});

/** How wide the page is, and how light what lies behind it. */
function measure() {
  const [red, green, blue] = getComputedStyle(document.documentElement)
    .backgroundColor.match(/[\d.]+/g)
    .map(Number);
  return {
    width: innerWidth,
    scroll: document.documentElement.scrollWidth,
    light: (red + green + blue) / 3 / 255,
  };
}

/** Goes to a button by the Tab key, and presses it. */
async function press(page, name) {
  for (let steps = 0; steps < 40; steps += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      const at = document.activeElement;
      return at === document.body ? "" : (at.getAttribute("aria-label") ?? at.textContent);
    });
    if (found.includes(name)) return page.keyboard.press("Enter");
  }
  assert.fail(`${name} cannot be reached by the Tab key`);
}

/** What can have the focus and has no name, by the browser's own tree for screen readers. */
async function nameless(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const focusable = (node) =>
    node.properties?.some((each) => each.name === "focusable" && each.value.value === true);
  return nodes
    .filter((node) => !node.ignored && focusable(node) && node.role.value !== "RootWebArea")
    .filter((node) => (node.name?.value ?? "").trim() === "")
    .map((node) => node.role.value);
}
