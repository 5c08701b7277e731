// A neighbour of this release, as long as there is no other: the same, but for the number of its handover protocol. Generations take turns,
// so that each upgrade is one from N-1 to N or from N to N-1.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { program, root } from "../bench.mjs";

const own = dirname(program);
const neighbour = join(root, "build/bench/next-release");
const versions = "handoverVersions={min:1,max:1}";

function make() {
  mkdirSync(dirname(neighbour), { recursive: true });
  const fresh = mkdtempSync(`${neighbour}-`);
  // a code cache fits its source only, and would bring the number of its own
  for (const file of readdirSync(own).filter((each) => !each.endsWith(".cache")))
    cpSync(join(own, file), join(fresh, file));
  const bundle = join(fresh, "main.cjs");
  const text = readFileSync(bundle, "utf8");
  if (text.split(versions).length !== 2) throw new Error(`cannot bend ${bundle}: it has no "${versions}"`);
  writeFileSync(bundle, text.replace(versions, "handoverVersions={min:1,max:2}"));
  if (existsSync(neighbour)) rmSync(neighbour, { recursive: true });
  renameSync(fresh, neighbour);
}

let made = false;

/** The folder with the program of a generation: of odd ones the release that is measured, of even ones its neighbour. */
export function releaseOf(generation) {
  if (generation % 2 === 1) return own;
  if (!made) make();
  made = true;
  return neighbour;
}
