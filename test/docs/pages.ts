import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Page, readPage } from "./markdown.js";

/** The checkout. Tests run there. */
export const root = resolve(".");

/** Every page for readers, relative to the checkout, in name order. */
export function pagePaths(): string[] {
  const top = readdirSync(root).filter((name) => name.endsWith(".md"));
  const deep = ["docs", "charts", "examples", "src"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name)),
  );
  return [...top, ...deep].sort();
}

export function pageAt(path: string): Page {
  return readPage(readFileSync(join(root, path), "utf8"));
}
