// The init holds the listeners of every generation, and meets its limit of open files: that is told at once, and by its name.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { eventually } from "../harness.js";
import { Upgradable } from "./stage.js";

const perService = 40;

/** 160 listeners: with their pipes and those of one more generation more than 300 files, but for each process less. */
const generation = (number: number): string => {
  const names = Array.from({ length: 4 * perService }, (_, index) => `l${index}`);
  const service = (index: number) => {
    const own = names.slice(index * perService, (index + 1) * perService);
    return `  web${index}: { command: [sleep, "1000${number}"], listeners: [${own.join(", ")}] }`;
  };
  return `
listeners:
${names.map((name) => `  ${name}: { tcp: "127.0.0.1:0" }`).join("\n")}
services:
${[0, 1, 2, 3].map(service).join("\n")}
upgrade: { probationSeconds: 0.5, bootSeconds: 30 }
shutdown: { gracePeriodSeconds: 4, lameDuckSeconds: 0, reserveSeconds: 1 }
`;
};

test("an upgrade that the init has no room for is rolled back at once, with the limit", async () => {
  await using stage = await Upgradable.start(generation(1), { under: ["prlimit", "--nofile=300:300"] });
  const { server } = stage;
  await server.phase("Running");
  const { code, err, out } = await stage.upgrade(generation(2));
  assert.equal(code, 1, out);
  const words =
    /rolled back after [0-3]\.\d s: NEW: the init, which has (29\d|300) files open, cannot hold "listener:l\d+": it may open no more files: its limit nofile is 300; raise the container's hard limit;/;
  assert.match(err, words);
  const { lastUpgrade } = await server.phase("Running");
  assert.equal(lastUpgrade?.cause, "listener");
  assert.doesNotMatch(server.stderr, /\(node:/);
  // what the candidate had in the init is gone: a service starts as before
  await eventually(async () => (await server.ask("/v1/services/web0/restart", "POST")).status === 200, {
    what: "a service starts again",
  });
});

test("a service that the init has no room for waits for another try with the limit as its reason", async () => {
  await using stage = await Upgradable.start(generation(1));
  const { server } = stage;
  await server.phase("Running");
  const limit = (soft: string) => execFileSync("prlimit", ["--pid", `${server.initPid()}`, `--nofile=${soft}:`]);
  const given = execFileSync("prlimit", ["--pid", `${server.initPid()}`, "--nofile", "-o", "SOFT", "--noheadings"]);
  limit("16");
  const answer = await server.ask("/v1/services/web0/restart", "POST");
  assert.notEqual(answer.status, 200);
  const said = [
    /(cannot pass \d+ descriptors|cannot start a process): the init's limit nofile is 16, \d+ are needed/,
    /"level":"error".*the init has refused STATE: it may open no more files/,
  ];
  for (const words of said) await eventually(() => words.test(server.stderr), { what: `${words}` });
  const { code, err } = await stage.upgrade(generation(2));
  assert.equal(code, 1);
  assert.match(err, /cannot start it: the init may open no more files \(limit nofile\)/);
  assert.doesNotMatch(server.stderr, /\(node:/);
  limit(String(given).trim());
  await eventually(async () => (await server.status())?.services[0]?.instances[0]?.state === "Ready", {
    what: "the next try",
  });
});
