import { realpathSync } from "node:fs";

/** The one path of a unix socket, however it is written (/var/run is /run); as it is written where there is none. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
