import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { type Loaded, loadPlan } from "../adapters/config/load-plan.js";
import { boundedWriter } from "../adapters/log/bounded-writer.js";
import { EntryError, type Problem } from "../core/entry-error.js";
import type { Plan } from "../core/plan.js";
import { problemSentence, problemText, sourceText } from "../core/problem-text.js";
import { writeTerminationMessage } from "../library/farewell.js";
import { orderedPlan } from "../library/ordered-plan.js";
import { processService } from "../library/process-service.js";
import { leaveRefusal } from "../library/refusal-file.js";
import { Server } from "../library/server.js";
import { adoptInit, type EntryInit } from "../library/world.js";
import { argumentsProblem } from "./arguments.js";
import type { Command, Io } from "./command.js";

const usage = `usage: pingora-entry [run] [options] [--] [CMD ARGS...]

Runs the configured services in dependency order; CMD becomes the service
"main".

  -c, --conf FILE|DIR   configuration (repeatable; later ones override; a
                        directory is read in name order)
  -t, --test            check the configuration and exit, as \`pingora-entry
                        check\` does
  -d, --daemon          detach from the terminal
  -u, --upgrade         take the sockets over from the running instance
      --warn-on-reap    say so when an orphan was reaped

Without -c: PINGORA_ENTRY_CONF, or /etc/pingora-entry/config.yaml, if it exists.
Options beat PINGORA_ENTRY_... variables, which beat files, which beat defaults.
With nothing configured it is an init for CMD: see pingora-entry help wrap.
`;

/** The composition root: configuration -> Server -> run. */
export const runCommand: Command = {
  name: "run",
  summary: "run the configured services (what the entrypoint does by default)",
  usage,
  async run(args, io) {
    let init: EntryInit | undefined;
    try {
      init = await adoptInit();
      const plan = savedPlan(init) ?? orderedPlan(await configuredPlan(args, io), io.env);
      init?.save(planName, JSON.stringify(plan));
      const { services, waves: _, ...conf } = plan;
      const server = new Server(conf);
      server.addServices(services.map(processService));
      const order = parse(args).values.upgrade ? { upgrade: io.env.PINGORA_ENTRY_UPGRADE ?? randomUUID() } : {};
      return await server.run({ ...order, ...(init === undefined ? {} : { init }) });
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      const text = problemText("pingora-entry", error);
      io.err(text);
      // a candidate is not the container's last word
      if (init?.primary !== false) writeTerminationMessage(text, io.env);
      leaveRefusal(text, io.env);
      init?.exit(error.exitCode);
      return error.exitCode;
    }
  },
};

const planName = "plan";

/** The plan that an earlier supervisor of this container runs by: the files may have changed since, what runs has not. */
function savedPlan(init: EntryInit | undefined): Plan | undefined {
  const text = init?.recovered.state.get(planName);
  return text === undefined ? undefined : (JSON.parse(text) as Plan);
}

async function configuredPlan(args: readonly string[], io: Io): Promise<Plan> {
  const { values, command } = parse(args);
  const options = { conf: values.conf ?? [], command, daemon: values.daemon === true };
  const loaded = await loadPlan({ options, env: io.env });
  if (loaded.plan.services.length === 0) throw nothingToRun(loaded);
  // not through process.stderr, which would make the pipe non-blocking for the services that inherit it
  const stderr = boundedWriter(2);
  const say = (kind: string, problem: Problem) =>
    stderr.write(Buffer.from(`pingora-entry: ${kind}: ${placed(problem)}\n`));
  for (const problem of loaded.warnings) say("warning", problem);
  for (const problem of loaded.notices) say("notice", problem);
  return loaded.plan;
}

function placed(problem: Problem): string {
  const place = sourceText(problem.source);
  return place === "" ? problemSentence(problem) : `${place}: ${problemSentence(problem)}`;
}

function nothingToRun({ files, warnings }: Loaded): EntryError {
  const why = warnings.length === 0 ? "" : ` (${warnings.map(placed).join("; ")})`;
  const where =
    files.length === 0 ? `no configuration was found${why}` : `${files.join(" and ")} configures no service`;
  return new EntryError("config", `cannot run: ${where} and no CMD was given`);
}

/** Our options end at `--` or at the first word that is none: what follows is CMD, with options of its own. */
function splitCommand(args: readonly string[]): {
  readonly own: readonly string[];
  readonly command: readonly string[];
} {
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (word === "--") return { own: args.slice(0, i), command: args.slice(i + 1) };
    if (!word.startsWith("-") || word === "-") return { own: args.slice(0, i), command: args.slice(i) };
    if (word === "-c" || word === "--conf") i += 1;
  }
  return { own: args, command: [] };
}

const wrapOptions = [
  "--no-group",
  "--rewrite",
  "--subreaper",
  "--parent-death-signal",
  "--remap-exit",
  "--stop-delay",
  "--reap-grace",
  "--verbose",
];

const options = {
  conf: { type: "string", short: "c", multiple: true },
  upgrade: { type: "boolean", short: "u" },
  daemon: { type: "boolean", short: "d" },
  test: { type: "boolean", short: "t" },
  // the init has read it
  "warn-on-reap": { type: "boolean" },
} as const;

function parse(args: readonly string[]) {
  const { own, command } = splitCommand(args);
  try {
    const { values } = parseArgs({ args: [...own], options });
    return { values, command };
  } catch (error) {
    const wrap = own.find((word) => wrapOptions.includes(word.split("=")[0] ?? ""));
    if (wrap !== undefined)
      throw new EntryError(
        "usage",
        `cannot use ${wrap} together with a configuration: it belongs to \`pingora-entry -- CMD\` with nothing configured`,
      );
    throw new EntryError("usage", `${argumentsProblem(error, own, options)}; see pingora-entry help run`);
  }
}
