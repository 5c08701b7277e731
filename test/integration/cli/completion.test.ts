import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { program, type Running, startServer } from "../harness.js";

const config = `
services:
  cache: { command: [sleep, "1000"] }
  canary: { command: [sleep, "1000"] }
`;

let server: Running;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "completion-"));
  server = startServer(config);
  await server.phase("Running");
});
after(async () => {
  await server.end();
  rmSync(folder, { recursive: true });
});

const has = (shell: string): string | false =>
  spawnSync(shell, ["-c", "exit 0"]).status === 0 ? false : `${shell} is not installed`;

function shell(name: string, args: readonly string[]): string {
  const env = {
    PATH: `${dirname(program)}:${process.env.PATH}`,
    HOME: folder,
    TERM: "dumb",
    PINGORA_ENTRY_ADMIN_SOCKET: server.socket,
  };
  const { stdout, stderr, status } = spawnSync(name, args, { env, encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, `${name}: ${stdout}${stderr}`);
  return stdout;
}

interface Case {
  readonly line: string;
  /** what the last word may become */
  readonly words: readonly string[];
}

const cases: readonly Case[] = [
  { line: "st", words: ["start", "status", "stop"] },
  { line: "status --wa", words: ["--watch"] },
  { line: "restart ca", words: ["cache", "canary"] },
  { line: "restart cache cana", words: ["canary"] },
  { line: "logs -n 5 cac", words: ["cache"] },
  { line: "signal WIN", words: ["WINCH"] },
  { line: "signal HUP cac", words: ["cache"] },
  { line: "graph --format mer", words: ["mermaid"] },
  { line: "help comp", words: ["completion"] },
  { line: "completion zs", words: ["zsh"] },
  { line: "healthcheck --li", words: ["--live"] },
];

describe("completion", () => {
  test("bash completes commands, options, values and the names of running services", { skip: has("bash") }, () => {
    for (const { line, words } of cases) {
      const script = `source <(pingora-entry completion bash)
COMP_WORDS=(pingora-entry ${line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_pingora_entry; printf '%s\\n' "\${COMPREPLY[@]}"; complete -p pingora-entry >/dev/null`;
      assert.deepEqual(shell("bash", ["--norc", "-c", script]).trim().split("\n").sort(), words, line);
    }
  });

  test("fish completes commands, options, values and the names of running services", { skip: has("fish") }, () => {
    for (const { line, words } of cases) {
      const script = `pingora-entry completion fish | source; complete -C 'pingora-entry ${line}'`;
      const found = shell("fish", ["--no-config", "-c", script])
        .trim()
        .split("\n")
        .map((each) => each.split("\t")[0]);
      assert.deepEqual(found.sort(), words, line);
    }
  });

  test("fish describes an option by what it is for", { skip: has("fish") }, () => {
    const script = "pingora-entry completion fish | source; complete -C 'pingora-entry graph --format '";
    const found = shell("fish", ["--no-config", "-c", script]).trim().split("\n");
    assert.deepEqual(
      found.sort(),
      ["dot", "json", "mermaid", "text"].map((each) => `${each}\thow it is written`),
    );
  });

  test("zsh completes commands, options, values and the names of running services", { skip: has("zsh") }, () => {
    for (const { line, words } of cases) {
      // a shell on a terminal of its own, with a finger on the tab key; it beeps and lists when several are possible
      const script = `zmodload zsh/zpty
zpty z "PS1='>' zsh -f -i"
zpty -w z 'autoload -U compinit; compinit -u -d ${folder}/dump; source <(pingora-entry completion zsh); bindkey "^I" complete-word; stty -echo; unsetopt zle_bracketed_paste'
zpty -w z 'print -n rea; print dy'
zpty -r -m z all '*ready*' || exit 1
zpty -w -n z $'pingora-entry ${line}\\t'
sleep 0.1
zpty -w -n z $'\\C-a: \\C-e'
zpty -w -n z $'\\n'
zpty -r -m z all '*:*' ; print -r -- $all
repeat 30; do sleep 0.05; zpty -r -t z all && print -r -- $all; done
zpty -d z`;
      const seen = shell("zsh", ["-f", "-c", script]);
      for (const word of words) assert.ok(seen.includes(word), `${line}: ${word} is not in ${JSON.stringify(seen)}`);
    }
  });
});
