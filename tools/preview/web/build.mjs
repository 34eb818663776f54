// Bundles the page into dist/.
import { build } from "esbuild";
import { copyFileSync, cpSync, mkdirSync } from "node:fs";

mkdirSync("dist", { recursive: true });
await build({
  entryPoints: ["page.jsx"],
  outfile: "dist/page.js",
  bundle: true,
  minify: true,
  format: "iife",
  jsx: "automatic",
  logLevel: "error",
  define: { "process.env.NODE_ENV": '"production"', global: "window" },
  loader: {
    ".ttf": "file",
    ".woff": "file",
    ".woff2": "file",
    ".svg": "file",
    ".png": "file",
    ".gif": "file",
  },
});
copyFileSync("index.html", "dist/index.html");
cpSync("node_modules/@grafana/ui/dist/public", "dist/public/build", { recursive: true });
