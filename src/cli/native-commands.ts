import { EntryError } from "../core/entry-error.js";
import type { Command } from "./command.js";

/**
 * What the native program answers itself, in about a millisecond and without Node: listed here for help, completion and reference.
 * The texts are kept to what `pingora-entry NAME --help` prints.
 */
const socketUsage = `  --socket PATH       the control socket (default: PINGORA_ENTRY_ADMIN_SOCKET,
                      else /run/pingora-entry/control.sock)`;

const codes = "Exit code: 0 yes; 1 no; 64 wrong usage; 69 nobody answers; 71 cannot write.";

export const prestopCommand = native({
  name: "prestop",
  summary: "for preStop hooks: drain; return when the pod may go on",
  usage: `usage: pingora-entry prestop [--socket PATH] [--timeout SECONDS]

Begins the lame duck of the running instance and returns when it is over: the
endpoints have had time to forget this pod, and SIGTERM may come. For the
preStop hook of a pod. Native, costs a millisecond.

${socketUsage}
  --timeout SECONDS   how long to wait at most (default: as long as it takes)

${codes}
`,
});

export const healthcheckCommand = native({
  name: "healthcheck",
  summary: "for exec probes: is the instance ready, live or started?",
  usage: `usage: pingora-entry healthcheck [--live|--ready|--startup] [--socket PATH]
                                 [--timeout SECONDS]

Asks for the health of the running instance. Prints ok; when a check fails, all
of them, each with its reason. For exec probes and Docker's HEALTHCHECK. Native,
costs a millisecond.

  --live              is the supervisor alive? (/livez)
  --ready             are the required services ready? (/readyz; the default)
  --startup           has everything been started? (/startupz)
${socketUsage}
  --timeout SECONDS   how long to wait for the answer (default: 1)

${codes}
`,
});

export const phaseCommand = native({
  name: "phase",
  summary: "print the phase of the running instance",
  usage: `usage: pingora-entry phase [--socket PATH] [--timeout SECONDS]

Prints the phase in which the running instance is (docs/reference/phases.md).
Native, costs a millisecond.

${socketUsage}
  --timeout SECONDS   how long to wait for the answer (default: 1)

${codes}
`,
});

export const wrapCommand = native({
  name: "wrap",
  summary: "options for running one command with nothing configured",
  usage: `usage: pingora-entry [options] [--] CMD ARGS...

With nothing configured, pingora-entry is an init for one command: it forwards
signals, reaps orphans and exits with the command's code. No Node is started.

  --no-group                  signal the command only, not its process group
  --rewrite FROM:TO           send TO when FROM is received, nothing when TO is
                              0 (repeatable)
  --stop-delay SECONDS        wait between receiving SIGTERM and forwarding it
  --reap-grace SECONDS        what the command leaves behind has this long
                              between TERM and KILL (default 2)
  --remap-exit CODE           this exit code becomes 0 (repeatable)
  --parent-death-signal SIG   for the command when this program dies, for this
                              program when its parent does
  --subreaper                 complain when orphans cannot be adopted
  --warn-on-reap              say so when an orphan was reaped
  --verbose                   tell what is done

Exit code: the command's; 128+n when it died of signal n; 126 not executable;
127 not found. Is the command named as a subcommand? Put it after --.
`,
});

function native(about: Omit<Command, "run">): Command {
  return {
    ...about,
    run: () =>
      Promise.reject(
        new EntryError("usage", `cannot answer "${about.name}" here: the native program does, run it as pingora-entry`),
      ),
  };
}
