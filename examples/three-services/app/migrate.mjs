// A oneshot: brings the data directory to the current version, then is done.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const file = join(process.env.DATA_DIR ?? "/tmp", "schema-version");
const current = 3;

let found = 0;
try {
  found = Number(readFileSync(file, "utf8"));
} catch {}
for (let version = found + 1; version <= current; version++) console.log(`migrate: to version ${version}`);
writeFileSync(file, String(current));
