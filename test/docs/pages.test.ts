import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { freePort, program } from "../integration/harness.js";
import { outputMatches } from "./expected-output.js";
import { type Block, wordValue } from "./markdown.js";
import { pageAt, pagePaths, root } from "./pages.js";
import { ShellSession } from "./shell-session.js";

/**
 * Runs the pages, so that they cannot rot:
 *
 *     ```yaml                 `check` accepts it without a warning, if it is a configuration and not something for Kubernetes
 *     ```yaml check=78        `check` refuses it
 *     ```LANGUAGE file=NAME   is written to the page's folder
 *     ```console              commands after "$ ", continued after "> ", and what they print
 *
 * Ports and the folder that the pages speak of are replaced by free ones.
 */
const shownFolder = /\/home\/ann\/shop(-upgrade)?\b/g;
const shownPorts = /\b(8080|8081|9090|7000)\b/g;
const env = { PATH: `${dirname(program)}:${process.env.PATH}`, HOME: "/nonexistent", LANG: "C.UTF-8", NO_COLOR: "1" };

/** Their output changes by itself: asked again until it is as shown. */
const looks = /^(cat|tail|grep|head|ls|curl|pingora-entry (status|logs|healthcheck|phase))\b/;

for (const path of pagePaths().filter((path) => path === "README.md" || path.startsWith("docs/"))) {
  const { blocks } = pageAt(path);
  const configs = blocks.filter(isConfiguration);
  if (configs.length > 0) test(`check agrees with the configurations of ${path}`, () => checkAll(path, configs));
  if (blocks.some(({ language }) => language === "console"))
    test(`commands print what ${path} shows`, () => play(path, blocks));
}

function isConfiguration({ language, text }: Block): boolean {
  return (
    language === "yaml" &&
    /^(services|listeners|shutdown|admin|log):/m.test(text) &&
    !/^(apiVersion|image):/m.test(text)
  );
}

function checkAll(path: string, configs: readonly Block[]): void {
  const dir = mkdtempSync(join(tmpdir(), "pe-doc-"));
  try {
    for (const block of configs) {
      const file = join(dir, "config.yaml");
      writeFileSync(file, block.text);
      const { status, stdout, stderr } = spawnSync(program, ["check", "--json", "-c", file], {
        cwd: dir,
        env: { ...env, PWD: dir },
      });
      const wanted = Number(wordValue(block, "check") ?? 0);
      assert.equal(status, wanted, `${path}:${block.line}: check says\n${stdout}${stderr}`);
      if (wanted === 0) assert.deepEqual(warningsOf(String(stdout)), [], `${path}:${block.line}: check warns`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Without those of programs that are not on this machine. */
function warningsOf(output: string): string[] {
  const { warnings } = JSON.parse(output) as { readonly warnings: readonly { readonly message: string }[] };
  return warnings
    .map(({ message }) => message)
    .filter((text) => !/ is (missing|in no directory of PATH) here$/.test(text));
}

async function play(path: string, blocks: readonly Block[]): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "pe-doc-"));
  const ports = new Map<string, string>();
  for (const port of new Set(blocks.flatMap(({ text }) => text.match(shownPorts) ?? [])))
    ports.set(port, String(await freePort()));
  const real = (text: string): string =>
    text.replaceAll(shownFolder, dir).replace(shownPorts, (port) => ports.get(port) ?? port);
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(root, join(dir, "node_modules", "pingora-entry"));
  const session = new ShellSession(dir, { ...env, PWD: dir });
  try {
    for (const block of blocks) {
      const file = wordValue(block, "file");
      if (file !== undefined) writeFileSync(join(dir, file), real(block.text));
      if (block.language !== "console") continue;
      for (const { command, shown } of commandsOf(block)) {
        const printed = await runUntil(session, real(command), (output) => outputMatches(real(shown), output));
        assert.ok(outputMatches(real(shown), printed), `${path}:${block.line}: $ ${command}\nprinted\n${printed}`);
      }
    }
  } finally {
    session.close();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function runUntil(session: ShellSession, command: string, done: (output: string) => boolean): Promise<string> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const printed = await session.run(command);
    if (done(printed) || !looks.test(command) || performance.now() > deadline) return printed;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

function commandsOf({ text, line }: Block): { command: string; shown: string }[] {
  const commands: { command: string; shown: string }[] = [];
  for (const each of text.split("\n").slice(0, -1)) {
    const last = commands.at(-1);
    if (each.startsWith("$ ")) commands.push({ command: each.slice(2), shown: "" });
    else if (last === undefined) throw new Error(`line ${line}: a console block begins with a command`);
    else if (each.startsWith("> ") && last.shown === "") last.command += `\n${each.slice(2)}`;
    else last.shown += `${each}\n`;
  }
  return commands;
}
