import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { mock } from "./mock/plugin.ts";

// `npm run dev` serves the pages with a server that plays its part from memory (mock/), or, with
// DEMO=http://localhost:8080 in the environment, in front of a demo that runs.
const demo = process.env["DEMO"];
const behind = { target: demo ?? "", changeOrigin: true, ws: true };

export default defineConfig({
  plugins: [react(), ...(demo ? [] : [mock()])],
  server: {
    proxy: demo
      ? { "/api": behind, "/ws": behind, "/dm/api": behind, "/unsent/api": behind, "/demo/api": behind }
      : {},
  },
  build: {
    target: "es2023",
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: { polyfill: false },
    // Everything in files of its own: the pages allow no inline script.
    assetsInlineLimit: 0,
  },
  test: { include: ["app/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
