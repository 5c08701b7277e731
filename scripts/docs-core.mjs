// Prints docs/reference/{phases,exit-codes}.md from the tables in src/core. `--check`: fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadTs } from "./load-ts.mjs";

const root = resolve(import.meta.dirname, "..");
const { phases, phaseFacts, phaseTable, phaseEvents } = await loadTs("src/core/phase.ts");
const { exitCodes } = await loadTs("src/core/entry-error.ts");

const generated = "<!-- printed by scripts/docs-core.mjs from the source; do not edit -->\n\n";
const readyWords = { no: "no", services: "when the required services are", drain: "as `readiness.duringDrain` says" };

const phasesPage = `${generated}# Phases

The names are pingora's. The same word is log field, metric label (\`pingora_entry_phase{phase}\`) and reason on \`/readyz\`.

| phase | meaning | /readyz | /livez | leaves on |
|---|---|---|---|---|
${phases
  .map((phase) => {
    const leaves = phaseEvents
      .filter((event) => phaseTable[phase][event] !== "ignored")
      .map((event) => `${event} → ${phaseTable[phase][event]}`);
    const { meaning, ready, live } = phaseFacts[phase];
    return `| ${phase} | ${meaning} | ${readyWords[ready]} | ${live ? "yes" : "no"} | ${leaves.join("<br>") || "-"} |`;
  })
  .join("\n")}

An event that is not listed for a phase is ignored there, and said once in the log at level debug.
`;

const exitPage = `${generated}# Exit codes

The code says whose fault it is.

| code | meaning |
|---|---|
${Object.values(exitCodes)
  .sort((a, b) => a.code - b.code)
  .map(({ code, meaning }) => `| ${code} | ${meaning} |`)
  .join("\n")}
| the main service's own | with a CMD (or a service \`main\`): its code is the container's; the very stop signal it was sent counts as 0 |
| a service's own | a service with \`onFailure: shutdown\` failed for good; or every service has ended, and a required one had failed (\`onFailure: ignore\`); 1 when its code was 0 |
| 1 | every service has ended, and a required one never started because what it depends on failed |
| 128+n | the command, or the failed service, died of signal n |
`;

const pages = { "phases.md": phasesPage, "exit-codes.md": exitPage };
let differ = false;
for (const [name, text] of Object.entries(pages)) {
  const path = join(root, "docs/reference", name);
  if (process.argv.includes("--check")) {
    let found = "";
    try {
      found = readFileSync(path, "utf8");
    } catch {}
    if (found === text) continue;
    differ = true;
    console.error(`docs/reference/${name} differs from the source: run node scripts/docs-core.mjs`);
  } else writeFileSync(path, text);
}
process.exitCode = differ ? 1 : 0;
