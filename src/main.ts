/** argv in, exit code out. */
import { runCommand } from "./cli/run-command.js";

void runCommand(process.argv.slice(2)).then((code) => process.exit(code));
