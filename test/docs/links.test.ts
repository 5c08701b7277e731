import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { readPage } from "./markdown.js";
import { pageAt, pagePaths, root } from "./pages.js";

test("readPage finds anchors and links as GitHub does, and none in code", () => {
  const { anchors, links } = readPage(
    "# A `b`: c, d\n## Same\n## Same\n[x](y.md#z) `[no](no.md)`\n```sh\n[no](no.md)\n# no\n```\n![i](i.png)\n",
  );
  assert.deepEqual([...anchors], ["a-b-c-d", "same", "same-1"]);
  assert.deepEqual(links, [
    { target: "y.md#z", line: 4 },
    { target: "i.png", line: 9 },
  ]);
});

test("pages link only to files and headings that exist", () => {
  const broken = pagePaths().flatMap((path) =>
    pageAt(path).links.flatMap(({ target, line }) => {
      const problem = problemOf(path, target);
      return problem === undefined ? [] : [`${path}:${line}: ${target}: ${problem}`];
    }),
  );
  assert.deepEqual(broken, []);
});

test("pages in docs can be reached from docs/README.md", () => {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path) || !existsSync(join(root, path))) return;
    seen.add(path);
    if (!path.endsWith(".md")) return;
    for (const { target } of pageAt(path).links) {
      const [file = ""] = target.split("#");
      if (file !== "" && !isOutside(target)) visit(normalize(join(dirname(path), file)));
    }
  };
  visit("docs/README.md");
  const lost = pagePaths().filter((path) => path.startsWith("docs/") && !seen.has(path));
  assert.deepEqual(lost, []);
});

function isOutside(target: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(target);
}

function problemOf(page: string, target: string): string | undefined {
  if (isOutside(target)) return undefined;
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? page : normalize(join(dirname(page), file));
  if (path.startsWith("..")) return "leaves the checkout";
  if (!existsSync(join(root, path))) return "no such file";
  if (anchor === undefined) return undefined;
  if (statSync(join(root, path)).isDirectory() || !path.endsWith(".md")) return "no page with headings";
  return pageAt(path).anchors.has(anchor) ? undefined : "no such heading";
}
