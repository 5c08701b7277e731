import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryError } from "../core/entry-error.js";
import type { Command } from "./command.js";
import { commandWords } from "./command-words.js";
import { allCommands, findCommand } from "./commands.js";

async function printed(command: Command, args: readonly string[]): Promise<string> {
  let text = "";
  const out = (more: string): void => {
    text += more;
  };
  assert.equal(
    await command.run(args, { out, err: out, env: {}, colour: false, width: 80, signal: new AbortController().signal }),
    0,
  );
  return text;
}

function assertFits(text: string, what: string): void {
  const lines = text.trimEnd().split("\n");
  assert.ok(lines.length <= 24, `${what} has ${lines.length} lines`);
  for (const line of lines) assert.ok(line.length <= 80, `${what}, ${line.length} columns: ${line}`);
}

test("help fits a terminal of 80 x 24, for every command and for all of them", async () => {
  const { command } = await findCommand(["help"]);
  assertFits(await printed(command, []), "help");
  for (const { name, usage, summary } of await allCommands()) {
    assertFits(usage, name);
    assert.equal(await printed(command, [name]), usage);
    assert.match(usage, /^usage: pingora-entry /);
    assert.doesNotMatch(summary, /\.$/);
  }
});

test("findCommand takes --help wherever the command's own options stand, and not behind CMD", async () => {
  const found = async (...argv: string[]): Promise<readonly [string, readonly string[]]> => {
    const { command, args } = await findCommand(argv);
    return [command.name, args];
  };
  assert.deepEqual(await found(), ["help", []]);
  assert.deepEqual(await found("--help"), ["help", []]);
  assert.deepEqual(await found("--version", "--json"), ["version", ["--json"]]);
  assert.deepEqual(await found("status", "--help"), ["help", ["status"]]);
  assert.deepEqual(await found("logs", "web", "-h"), ["help", ["logs"]]);
  assert.deepEqual(await found("run", "-c", "x.yaml", "--help"), ["help", ["run"]]);
  assert.deepEqual(await found("run", "-c", "x.yaml", "ls", "--help"), ["run", ["-c", "x.yaml", "ls", "--help"]]);
  assert.deepEqual(await found("check", "--", "ls", "--help"), ["check", ["--", "ls", "--help"]]);
});

test("findCommand suggests the command that was probably meant", async () => {
  await assert.rejects(findCommand(["statsu"]), (error) => {
    assert.ok(error instanceof EntryError);
    assert.equal(error.exitCode, 64);
    assert.equal(error.message, 'unknown command "statsu"; did you mean "status"?');
    return true;
  });
  await assert.rejects(findCommand(["constructor"]), /unknown command/);
});

test("commandWords reads options, their values and the places from the usage", async () => {
  const byName = new Map((await allCommands()).map((command) => [command.name, commandWords(command)]));
  const options = (name: string): unknown[] =>
    (byName.get(name)?.options ?? []).map(({ long, short, value }) => [long, short ?? "", value?.kind ?? ""]);
  assert.deepEqual(options("logs"), [
    ["--follow", "-f", ""],
    ["--tail", "-n", "any"],
    ["--timestamps", "-t", ""],
    ["--json", "", ""],
    ["--socket", "", "file"],
  ]);
  assert.deepEqual(options("graph"), [
    ["--conf", "-c", "file"],
    ["--format", "-f", "words"],
  ]);
  const kinds = (name: string): string[] => (byName.get(name)?.places ?? []).map(({ kind }) => kind);
  assert.deepEqual(kinds("signal"), ["signal", "service"]);
  for (const name of ["start", "stop", "restart", "logs"]) assert.deepEqual(kinds(name), ["service"], name);
  assert.deepEqual(kinds("help"), ["command"]);
  assert.deepEqual(kinds("completion"), ["words"]);
  for (const name of ["run", "check", "graph", "status", "version", "healthcheck", "prestop", "phase"])
    assert.deepEqual(kinds(name), [], name);
});
