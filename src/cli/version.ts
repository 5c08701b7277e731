import { EntryError } from "../core/entry-error.js";
import { build, version } from "../core/version.js";
import { readArguments } from "./arguments.js";
import type { Command } from "./command.js";

const usage = `usage: pingora-entry version [--json]

Prints the version, the commit it was built from, and the Node it runs on.

      --json   as JSON: version, build, node, platform, arch
`;

export const versionCommand: Command = {
  name: "version",
  summary: "print the version",
  usage,
  run(args, io) {
    const { values, words } = readArguments("version", args, { json: { type: "boolean" } });
    if (words.length > 0) throw new EntryError("usage", `cannot use "${words[0]}": version takes no words`);
    const { platform, arch } = process;
    const node = process.versions.node;
    if (values.json === true) io.out(`${JSON.stringify({ version, build, node, platform, arch })}\n`);
    else io.out(`pingora-entry ${version} (build ${build}, node ${node}, ${platform} ${arch})\n`);
    return Promise.resolve(0);
  },
};
