// Prints the licences of what the bundles contain: every package of package-lock.json that is not for development only.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
for (const [path, { version, license, dev }] of Object.entries(packages)) {
  if (path === "" || dev) continue;
  const folder = join(root, path);
  const files = readdirSync(folder).filter((name) => /^(licen[cs]e|notice)/i.test(name));
  console.log(`${path.replace(/^.*node_modules\//, "")} ${version}: ${license}\n`);
  for (const file of files) console.log(`${readFileSync(join(folder, file), "utf8").trim()}\n`);
  console.log("-".repeat(80));
}
