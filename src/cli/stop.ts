import { operateCommand, socketUsage } from "./operate-services.js";

export const stopCommand = operateCommand("stop", "stopped", {
  summary: "stop services, and leave them stopped",
  usage: `usage: pingora-entry stop [--socket PATH] SERVICE...

Stops services as configured (stop command, stop signals, grace, SIGKILL) and
returns when they have ended. They stay stopped until they are started again.
The services that depend on them go on; a required service that is stopped makes
the instance not ready.

${socketUsage}`,
});
