// Prints docs/reference/cli.md from the commands' own usage texts. `--check`: fails when it differs.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadTs } from "./load-ts.mjs";

const root = resolve(import.meta.dirname, "..");
const { allCommands } = await loadTs("src/cli/commands.ts");
const { exitCodes } = await loadTs("src/core/entry-error.ts");
const commands = await allCommands();

const title = ({ name }) => (name === "wrap" ? "one command, nothing configured" : name);
const anchor = (command) => title(command).replaceAll(",", "").replaceAll(" ", "-");
const client = Object.values(exitCodes).filter(({ code }) => [0, 1, 64, 69, 70, 78].includes(code));

const page = `<!-- printed by scripts/docs-cli.mjs from the source; do not edit -->

# Command line

Everything here is what \`pingora-entry help COMMAND\` prints. Options beat \`PINGORA_ENTRY_...\` variables, which beat files, which beat
defaults. Colours and live progress appear on a terminal only, and never when \`NO_COLOR\` is set.

| command | |
|---|---|
${commands.map((command) => `| [${title(command)}](#${anchor(command)}) | ${command.summary} |`).join("\n")}

Exit codes of the commands that ask or look (all others are in [exit-codes.md](exit-codes.md)):

| code | meaning |
|---|---|
${client.map(({ code, meaning }) => `| ${code} | ${meaning} |`).join("\n")}

${commands.map((command) => `## ${title(command)}\n\n\`\`\`text\n${command.usage.trimEnd()}\n\`\`\`\n`).join("\n")}`;

const path = join(root, "docs/reference/cli.md");
if (process.argv.includes("--check")) {
  let found = "";
  try {
    found = readFileSync(path, "utf8");
  } catch {}
  if (found !== page) {
    console.error("docs/reference/cli.md differs from the source: run node scripts/docs-cli.mjs");
    process.exitCode = 1;
  }
} else writeFileSync(path, page);
