import { operateCommand, socketUsage } from "./operate-services.js";

export const restartCommand = operateCommand("restart", "restarted", {
  summary: "stop services and start them again",
  usage: `usage: pingora-entry restart [--socket PATH] SERVICE...

Stops services as configured, starts them again and returns when they are ready.
Several are restarted at once; each result is printed as it comes. The back-off
of a service that failed is not waited for.

${socketUsage}`,
});
