/** argv in, exit code out. */
import { finishOutputs } from "./adapters/log/share-outputs.js";
import { runCommand } from "./cli/run-command.js";

/** for last words to a reader that is slow, or that may only be written to when it has room */
const lastWordsMs = 1_000;

void runCommand(process.argv.slice(2)).then(async (code) => {
  await finishOutputs(lastWordsMs);
  process.exit(code);
});
