// Prints docs/reference/metrics.md from the table that registers the metrics. `--check`: fails when it differs.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadTs } from "./load-ts.mjs";

const path = join(resolve(import.meta.dirname, ".."), "docs/reference/metrics.md");
const { metricTable, prefix } = await loadTs("src/adapters/metrics/metric-table.ts");
const { addProcessMetrics, Registry } = await loadTs("src/adapters/metrics/prom-client.ts");

const cell = (text) => text.replaceAll("|", "\\|");
const ours = Object.values(metricTable).map(({ name, type, labels, help }) => {
  const shown = labels.length === 0 ? "" : `{${labels.join(",")}}`;
  return `| \`${prefix}${name}${shown}\` | ${type} | ${cell(help)} |`;
});
const registry = new Registry();
addProcessMetrics(registry);
const process = registry
  .getMetricsAsArray()
  .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${cell(help.replace(/\.$/, ""))} |`);
const buckets = metricTable.serviceReady.buckets.join(", ");

const page = `<!-- printed by scripts/docs-metrics.mjs from the source; do not edit -->

# Metrics

\`GET /metrics\` on the admin address and on the control socket: Prometheus text, or OpenMetrics when the request's \`Accept\` prefers it.
Values are computed when they are asked for. Answers are kept for as long as nothing has changed, one second at most; however many clients
ask, rendering takes no more than a tenth of the supervisor's time.

Counters begin at 0 with each supervisor; the init starts one again when it died, so a counter may reset while services run on.
\`orphans_reaped_total\` and \`supervisor_restarts_total\` come from the init and count from the start of the container.

## pingora-entry

| metric | type | meaning |
|---|---|---|
${ours.join("\n")}

Histogram buckets, in seconds: ${buckets}.

\`service_cpu_seconds_total\` and \`service_resident_memory_bytes\` cover a service's processes and everything they started, except what
detached itself from them. Services that run inside a Node program (library) have no processes of their own: theirs are 0.

The metrics of upgrades are those of the generation that answers: after one that was completed, the new one's, which has counted it; after one that was rolled back, the old one's. Its other counters begin at 0.
What was refused as busy (\`result="busy"\`: an order, or a candidate of another container) is counted by the generation that refused it, and is in no histogram; an order that waits is none until it gives up. \`step\` is one of those of [an upgrade](../upgrade.md#how-it-goes), from LEASE on (the old generation) or OFFER (the new one), or \`all\`;
a step that takes no time may be missing. \`reason\` is \`lastUpgrade.cause\` of \`pingora-entry status --json\`: a new generation whose \`check\` failed, that did not \`start\`, of which a \`listener\` could not be bound or a \`service\` failed, that was not (or did not stay) ready (\`unready\`); \`sockets\` that cannot go over;
a side that was \`lost\` or silent, or was \`stopped\`; a \`journal\` that could not be written; two releases that do not understand each other (\`protocol\`).

## The supervisor itself

| metric | type | meaning |
|---|---|---|
${process.join("\n")}

## Useful questions

\`\`\`promql
# not ready although running
pingora_entry_ready == 0 and on(instance) pingora_entry_phase{phase="Running"} == 1
# crash loops
sum by (service) (increase(pingora_entry_service_restarts_total[10m])) > 3
# stops that needed SIGKILL
sum by (service) (increase(pingora_entry_service_stop_seconds_count{how="killed"}[1h])) > 0
# an upgrade was rolled back
sum by (reason) (increase(pingora_entry_upgrade_attempts_total{result="rolled-back"}[1h])) > 0
# 95th percentile of the time to get ready
histogram_quantile(0.95, sum by (le, service) (rate(pingora_entry_service_ready_seconds_bucket[1h])))
\`\`\`
`;

if (globalThis.process.argv.includes("--check")) {
  let found = "";
  try {
    found = readFileSync(path, "utf8");
  } catch {}
  if (found !== page) {
    console.error("docs/reference/metrics.md differs from the source: run node scripts/docs-metrics.mjs");
    globalThis.process.exitCode = 1;
  }
} else writeFileSync(path, page);
