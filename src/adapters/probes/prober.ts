import type { Acceptors } from "../../core/acceptance.js";
import type { ProbeAction } from "../../core/plan.js";
import type { ProbeContext, Prober } from "../../runtime/ports.js";
import { acceptedConnection, type Dial, plainDial } from "./accepted-connection.js";
import { type Attempt, failed, secondsText, settleWithin } from "./attempt.js";
import { tcpProbe, unixProbe } from "./connect-probe.js";
import { type ExecWorld, execProbe } from "./exec-probe.js";
import { fileProbe } from "./file-probe.js";
import { httpProbe } from "./http-probe.js";
import { OwnConnections } from "./own-connections.js";
import { Race } from "./race.js";

export interface ProberParts extends ExecWorld {
  /** of pingora-entry, for the User-Agent */
  readonly version: string;
  /** told of every connection that a probe makes */
  readonly own?: OwnConnections;
  /** who has accepted a connection; without it any answer counts */
  readonly acceptors?: Acceptors;
}

/** The prober for the actions that are asked. `log` and `notify` are told by the service itself and fail when asked. */
export function createProber({ own = new OwnConnections(), acceptors, ...world }: ProberParts): Prober {
  return {
    ask: (action, context, timeoutMs, signal) => {
      const { acceptedBy } = context;
      const race = new Race();
      const late = action.kind === "exec" ? "still running after" : "no answer within";
      const attempt: Attempt = (settle, restart) => {
        const dial: Dial =
          acceptedBy === undefined || acceptors === undefined
            ? plainDial(own)
            : (options, over) =>
                race.run(
                  acceptedConnection(
                    options,
                    {
                      pids: acceptedBy,
                      acceptors,
                      own,
                      othersAccepted: () => race.othersAccepted(),
                      closed: () => race.closed(),
                    },
                    over,
                  ),
                  restart,
                );
        return attemptOf(action, context, world, dial)(settle, restart);
      };
      return settleWithin(
        attempt,
        () => race.late(timeoutMs) ?? failed(`${late} ${secondsText(timeoutMs)}`),
        timeoutMs,
        signal,
      );
    },
  };
}

function attemptOf(
  action: ProbeAction,
  context: ProbeContext,
  parts: ExecWorld & { readonly version: string },
  dial: Dial,
): Attempt {
  switch (action.kind) {
    case "tcpSocket":
      return tcpProbe(action.host, action.port, dial);
    case "unixSocket":
      return unixProbe(action.path, dial);
    case "httpGet":
      return httpProbe(action, `pingora-entry-probe/${parts.version}`, dial);
    case "exec":
      return execProbe(action.command, context, parts);
    case "file":
      return fileProbe(action.path);
    case "log":
    case "notify":
      return (settle) => {
        settle(failed(`a ${action.kind} probe is told, not asked`));
        return () => {};
      };
  }
}
