import { readFileSync } from "node:fs";
import { decodeText, encodeText } from "./text.js";

/**
 * The environment with every byte that this process was given. Node reads it as UTF-8 and loses what is not; those variables are taken
 * from the kernel instead, in the form that decodeText gives and a SPAWN frame turns back into bytes. What has been set or removed since
 * stays so.
 */
export function exactEnvironment(env: NodeJS.ProcessEnv, file = "/proc/self/environ"): NodeJS.ProcessEnv {
  const exact = { ...env };
  const damaged = Object.keys(exact).filter((name) => exact[name]?.includes("\ufffd"));
  if (damaged.length === 0) return exact;
  const given = decodeText(readFileSync(file)).split("\0");
  for (const name of damaged) {
    const value = given.find((element) => element.startsWith(`${name}=`))?.slice(name.length + 1);
    // it was set anew when Node would have read something else
    if (value !== undefined && encodeText(value).toString("utf8") === exact[name]) exact[name] = value;
  }
  return exact;
}
