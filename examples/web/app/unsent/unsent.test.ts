import { afterEach, expect, test, vi } from "vitest";
import { watch } from "./unsent.ts";

const asked = vi.hoisted(() => [] as unknown[][]);
vi.mock("../session/here.ts", () => ({
  api: async (...request: unknown[]) => (asked.push(request), {}),
  sessions: { current: { get: () => undefined } },
  ticket: async () => "ticket",
}));

class Silent {
  addEventListener() {}
  close() {}
}
vi.stubGlobal("EventSource", Silent);
afterEach(() => void asked.splice(0));

test("what is dismissed is what was shown, and nothing that came behind it", async () => {
  const unsent = watch("b/b");
  await unsent.dismiss("ann", 7);
  unsent.close();
  const changes = asked.filter(([method]) => method !== "GET");
  expect(changes).toEqual([
    ["POST", "/unsent/api/users/b%2Fb/unsent/ann/ack", { upto_offset: 7 }],
  ]);
});
