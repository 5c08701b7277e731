import { EntryError } from "../core/entry-error.js";
import type { Plan } from "../core/plan.js";
import type { Command } from "./command.js";
import { loadForLooking, parsePlanArgs } from "./plan-options.js";
import { columns, listenerWords, needsWords } from "./plan-words.js";

const formats: Readonly<Record<string, (plan: Plan) => string>> = {
  text: textGraph,
  dot: dotGraph,
  mermaid: mermaidGraph,
  json: jsonGraph,
};

const usage = `usage: pingora-entry graph [-c FILE|DIR]... [--format text|dot|mermaid|json]
                           [-- CMD ARGS...]

Prints which service waits for which, and for what of it. An arrow points from a
service to the ones that wait for it.

  -c, --conf FILE|DIR   configuration (repeatable; later ones override; a
                        directory is read in name order)
  -f, --format FORMAT   how it is written: text (default), dot for Graphviz,
                        mermaid for Markdown, json for programs

  pingora-entry graph --format dot | dot -Tsvg > services.svg
`;

export const graphCommand: Command = {
  name: "graph",
  summary: "print the dependency graph of the services",
  usage,
  async run(args, io) {
    const { values, command } = parsePlanArgs("graph", args, {
      format: { type: "string", short: "f", default: "text" },
    });
    const print = Object.hasOwn(formats, values.format) ? formats[values.format] : undefined;
    if (print === undefined) {
      throw new EntryError(
        "usage",
        `cannot print a graph as "${values.format}": known formats are ${Object.keys(formats).join(", ")}`,
      );
    }
    const { plan } = await loadForLooking(values.conf, command, io);
    io.out(`${print(plan)}\n`);
    return 0;
  },
};

function textGraph(plan: Plan): string {
  if (plan.services.length === 0) return "no service is configured";
  const byName = new Map(plan.services.map((service) => [service.name, service]));
  return columns(
    plan.waves.flatMap((names, wave) =>
      names.flatMap((name, i) => {
        const service = byName.get(name);
        if (service === undefined) return [];
        const sockets = service.listeners.length === 0 ? "" : `on ${service.listeners.join(", ")}`;
        const about = [service.type === "oneshot" ? "oneshot" : "", needsWords(service), sockets].filter(
          (words) => words !== "",
        );
        return [[i === 0 ? `${wave + 1}` : "", name, about.join("; ")]];
      }),
    ),
    "",
  );
}

function dotGraph(plan: Plan): string {
  const lines = plan.services.flatMap((service) => [
    `  ${id(service.name)} [shape=${service.type === "oneshot" ? "ellipse" : "box"}];`,
    ...Object.entries(service.dependsOn).map(
      ([name, condition]) => `  ${id(name)} -> ${id(service.name)} [label="${condition}"];`,
    ),
    ...service.listeners.map((name) => `  ${id(`listener ${name}`)} -> ${id(service.name)} [style=dashed];`),
  ]);
  const sockets = plan.listeners.map(
    (listener) =>
      `  ${id(`listener ${listener.name}`)} [shape=cds, label=${id(`${listener.name}\n${listenerWords(listener)}`)}];`,
  );
  return ["digraph services {", "  rankdir=LR;", ...lines, ...sockets, "}"].join("\n");
}

function id(name: string): string {
  return JSON.stringify(name);
}

function mermaidGraph(plan: Plan): string {
  // mermaid has words of its own ("end"), so nodes are numbered
  const numbers = new Map(plan.services.map((service, i) => [service.name, `s${i}`]));
  const nodes = plan.services.map((service) => {
    const number = numbers.get(service.name);
    return service.type === "oneshot" ? `  ${number}(["${service.name}"])` : `  ${number}["${service.name}"]`;
  });
  const edges = plan.services.flatMap((service) =>
    Object.entries(service.dependsOn).map(
      ([name, condition]) => `  ${numbers.get(name)} -->|${condition}| ${numbers.get(service.name)}`,
    ),
  );
  return ["graph LR", ...nodes, ...edges].join("\n");
}

function jsonGraph(plan: Plan): string {
  const nodes = plan.services.map(({ name, type, listeners }) => ({
    name,
    type,
    listeners,
    wave: plan.waves.findIndex((wave) => wave.includes(name)),
  }));
  const edges = plan.services.flatMap((service) =>
    Object.entries(service.dependsOn).map(([from, condition]) => ({ from, to: service.name, condition })),
  );
  return JSON.stringify({ nodes, edges, waves: plan.waves }, null, 2);
}
