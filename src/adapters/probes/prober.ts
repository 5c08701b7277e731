import type { ProbeAction } from "../../core/plan.js";
import type { ProbeContext, Prober } from "../../runtime/ports.js";
import { type Attempt, failed, secondsText, settleWithin } from "./attempt.js";
import { tcpProbe, unixProbe } from "./connect-probe.js";
import { type ExecWorld, execProbe } from "./exec-probe.js";
import { fileProbe } from "./file-probe.js";
import { httpProbe } from "./http-probe.js";

export interface ProberParts extends ExecWorld {
  /** of pingora-entry, for the User-Agent */
  readonly version: string;
}

/** The prober for the actions that are asked. `log` and `notify` are told by the service itself and fail when asked. */
export function createProber(parts: ProberParts): Prober {
  return {
    ask: (action, context, timeoutMs, signal) => {
      const late = action.kind === "exec" ? "still running after" : "no answer within";
      return settleWithin(attemptOf(action, context, parts), `${late} ${secondsText(timeoutMs)}`, timeoutMs, signal);
    },
  };
}

function attemptOf(action: ProbeAction, context: ProbeContext, parts: ProberParts): Attempt {
  switch (action.kind) {
    case "tcpSocket":
      return tcpProbe(action.host, action.port);
    case "unixSocket":
      return unixProbe(action.path);
    case "httpGet":
      return httpProbe(action, `pingora-entry-probe/${parts.version}`);
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
