import { readdirSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { type ConfigFiles, realFiles } from "../../src/adapters/config/config-files.js";
import type { LoadInput } from "../../src/adapters/config/load-plan.js";
import { readTextFile } from "../../src/adapters/config/text-file.js";

/** Accounts of an image and a mounted secret, the same on every machine that tests. */
const image: Readonly<Record<string, string>> = {
  "/etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\n",
  "/etc/group": "root:x:0:\napp:x:1000:\nwheel:x:10:app\nlogs:x:20:app,nobody\nnogroup:x:65534:\n",
  "/run/secrets/token": "s3cr3t\n",
  "/run/secrets/nul": "s3\0cr3t\n",
};

/** Relative paths are in `directory`; of the rest of the machine nothing is there but what `image` says. */
export function filesOf(directory: string): ConfigFiles {
  const real = (path: string): string => {
    if (isAbsolute(path)) throw Object.assign(new Error(path), { code: "ENOENT" });
    return join(directory, path);
  };
  return {
    readText: (path) => image[path] ?? readTextFile(real(path)),
    kind: (path) => {
      if (isAbsolute(path)) return Object.hasOwn(image, path) ? "file" : undefined;
      return realFiles.kind(join(directory, path));
    },
    names: (path) => readdirSync(real(path)),
  };
}

/** A case's directory as the input of a load: config.yaml, unless input.json says otherwise. */
export function inputOf(directory: string): LoadInput {
  const files = filesOf(directory);
  const given = files.kind("input.json") === "file" ? JSON.parse(files.readText("input.json")) : {};
  const {
    conf = ["config.yaml"],
    command = [],
    env = {},
  } = given as { conf?: string[]; command?: string[]; env?: Record<string, string> };
  return { options: { conf, command }, env, files };
}
