import { operateCommand, socketUsage } from "./operate-services.js";

export const startCommand = operateCommand("start", "started", {
  summary: "start services that are stopped or failed",
  usage: `usage: pingora-entry start [--socket PATH] SERVICE...

Starts services that are stopped, have failed or wait for their next try, and
returns when they are ready (a oneshot: when it has completed). Several are
started at once; each result is printed as it comes.

${socketUsage}`,
});
