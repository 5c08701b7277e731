import { readdirSync, statSync } from "node:fs";
import { readTextFile } from "./text-file.js";

/** The file system as far as a configuration needs it. Synchronous: nothing else is there to be done before the plan is made. */
export interface ConfigFiles {
  /** @throws Error with an errno code, or NotUtf8 */
  readText(path: string): string;
  /** undefined: there is nothing. What may not be looked at counts as a file: reading it tells why */
  kind(path: string): "file" | "directory" | undefined;
  /** names in a directory, in no order. @throws Error with an errno code */
  names(path: string): readonly string[];
}

export const realFiles: ConfigFiles = {
  readText: readTextFile,
  kind: (path) => {
    try {
      return statSync(path).isDirectory() ? "directory" : "file";
    } catch (error) {
      return (error as { code?: string }).code === "ENOENT" ? undefined : "file";
    }
  },
  names: (path) => readdirSync(path),
};
