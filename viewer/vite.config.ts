// Built into the Python package, addressed relatively, so that any path prefix works; no source maps, no inlining
// (the page's Content-Security-Policy allows no inline script and no data: module).
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/hounsfield/viewer/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
});
