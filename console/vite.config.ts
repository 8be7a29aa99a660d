import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a platform; the built console asks the server that it came from. */
const platform = process.env.INFRASPECTRE_URL ?? "http://127.0.0.1:8440";

export default defineConfig({
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/infraspectre/api/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy lets nothing inline through
    modulePreload: { polyfill: false },
    cssCodeSplit: true,
  },
  server: { proxy: { "/api": { target: platform, ws: true }, "/health": platform } },
  test: { environment: "happy-dom", include: ["test/**/*.test.{ts,tsx}"] },
});
