// A release whose files were not all copied, or not to their end: its new generation says which one, and the old one serves on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { heard, program } from "../harness.js";
import { ask, Upgradable, webService } from "./stage.js";

const generation = (number: number, more = ""): string =>
  `${webService(number)}${more}upgrade: { probationSeconds: 0.3, bootSeconds: 10 }\n`;

const copy = (dir: string, harm: (release: string) => void): string => {
  const release = join(dir, "release");
  cpSync(dirname(program), release, { recursive: true });
  harm(release);
  return release;
};

const without = (name: string) => (release: string) => rmSync(join(release, name));
const half = (name: string) => (release: string) => {
  const file = join(release, name);
  truncateSync(file, statSync(file).size >> 1);
};

const before = "the new generation exited with code 71 before it asked for the sockets: ";
const adopting = `  other: { command: [sleep, "1000"], listeners: [other] }
`;

const cases: readonly (readonly [string, (release: string) => void, string, string?])[] = [
  ["without admin.cjs", without("admin.cjs"), "NEW: this release is not whole: admin\\.cjs is missing;"],
  ["with half of admin.cjs", half("admin.cjs"), "NEW: this release is not whole: admin\\.cjs is damaged: .+;"],
  ["without main.cjs", without("main.cjs"), `${before}this release is not whole: main\\.cjs is missing;`],
  ["with half of main.cjs", half("main.cjs"), `${before}this release is not whole: main\\.cjs is damaged: .+;`],
  [
    "with an empty main.cjs",
    (release) => writeFileSync(join(release, "main.cjs"), ""),
    `${before}this release is not whole: main\\.cjs is damaged: it is cut off;`,
  ],
  [
    "with half of addon.node",
    half("addon.node"),
    `${before}cannot load the native addon: .*/addon\\.node is not whole: `,
  ],
  [
    "with half of adopt.so",
    half("adopt.so"),
    'NEW: service other failed: cannot pass the listeners: "other" cannot be adopted: .*/adopt\\.so is not whole: ',
    adopting,
  ],
];

for (const [what, harm, words, more = ""] of cases)
  test(`pingora-entry upgrade to a release ${what} is rolled back before COMMIT, and says why`, async () => {
    const listener = more === "" ? "" : ', other: { tcp: "127.0.0.1:0", passAs: adopt }';
    const config = (number: number) =>
      generation(number, more).replace(" } }\nservices:", ` }${listener} }\nservices:`);
    await using stage = await Upgradable.start(config(1));
    const { server, port } = stage;
    await server.phase("Running");
    const path = copy(server.dir, harm);
    const { code, err } = await stage.upgrade(config(2), "--path", path);
    assert.equal(code, 1, err);
    assert.match(err, new RegExp(`rolled back after \\d+\\.\\d s: ${words}`));
    assert.doesNotMatch(server.stderr, /"step":"COMMIT"|a bug|\n {4}at /);
    const { lastUpgrade } = await server.phase("Running");
    assert.match(lastUpgrade?.reason ?? "", new RegExp(words.replace(/;$/, "$")));
    assert.ok((lastUpgrade?.seconds ?? 9) < 5, "it is not tried for long");
    assert.equal(await ask(port), 1);
    // nothing of it is in the way of the next
    const next = await stage.upgrade(config(3), "--wait");
    assert.equal(next.code, 0, next.err);
  });

for (const name of ["main.cjs", "admin.cjs"])
  test(`a start without ${name} says so, and ends with 71`, async () => {
    const dir = mkdtempSync(join(tmpdir(), "pe-"));
    try {
      const release = copy(dir, without(name));
      const config = join(dir, "config.yaml");
      const admin = `admin: { tcp: "off", socket: ${join(dir, "control.sock")} }`;
      writeFileSync(config, `${admin}\nservices: { web: { command: [sleep, "1000"] } }\n`);
      const child = spawn(join(release, "pingora-entry"), ["run", "-c", config], { stdio: ["ignore", "pipe", "pipe"] });
      const { code, err } = await heard(child).ended;
      assert.equal(code, 71, err);
      assert.match(err, new RegExp(`this release is not whole: ${name} is missing`));
      if (name === "main.cjs") assert.equal(err, "pingora-entry: this release is not whole: main.cjs is missing\n");
      assert.doesNotMatch(err, /a bug/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
