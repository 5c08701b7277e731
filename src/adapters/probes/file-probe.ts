import { stat } from "node:fs";
import { type Attempt, failed, passed } from "./attempt.js";

/** Passes when the file exists, whatever it is. */
export function fileProbe(path: string): Attempt {
  return (settle) => {
    stat(path, (error) => {
      if (error === null) settle(passed);
      else if (error.code === "ENOENT" || error.code === "ENOTDIR") settle(failed(`${path} does not exist`));
      else if (error.code === "EACCES") settle(failed(`cannot look at ${path}: permission denied`));
      else settle(failed(`cannot look at ${path}: ${error.code ?? error.message}`));
    });
    // a stat that hangs (a dead network file system) cannot be taken back; its answer finds nobody
    return () => {};
  };
}
