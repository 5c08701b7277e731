import { suggest } from "../../core/suggest.js";
import { type Gathered, keyWord, meant } from "./complaints.js";
import type { ConfigNode, MapNode } from "./node.js";
import { pingoraDaemonKeys, pingoraIgnored } from "./schema/pingora.js";
import { rootKeys } from "./schema/root.js";
import { service as serviceShape } from "./schema/service.js";
import { isServiceLink } from "./service-link.js";
import { allSettings } from "./settings.js";

/** Unknown keys are mistakes; keys beginning with x- are the user's own (for anchors); pingora's other keys are named once. */
export function judgeTopLevel(root: MapNode, complaints: Gathered): void {
  const ignored: string[] = [];
  for (const [name, entry] of root.entries) {
    if (rootKeys.includes(name)) {
      if (Object.hasOwn(pingoraIgnored, name) && name !== "version") ignored.push(name);
    } else if (!name.startsWith("x-")) {
      const service = serviceLike(entry.value) ? "a service belongs under services" : undefined;
      complaints.problem(entry.key, keyWord(name), "unknown key", meant(suggest(name, rootKeys)) ?? service);
    }
  }
  if (ignored.length === 0) return;
  const place = root.entries.get(ignored[0] ?? "")?.key;
  // -d replaces them all but one: where the log goes is for the caller to say
  const daemon = ignored.filter((name) => pingoraDaemonKeys.includes(name) && name !== "error_log");
  const hints = [
    ...(daemon.length === 0 ? [] : [`instead of ${daemon.join(", ")} use the option -d`]),
    ...(ignored.includes("error_log") ? ["instead of error_log redirect stderr: pingora-entry -d ... 2>>FILE"] : []),
  ];
  const hint = hints.length === 0 ? undefined : hints.join("; ");
  complaints.notice(place, "", `keys of pingora's that mean nothing here: ${ignored.join(", ")}`, hint);
}

function serviceLike(node: ConfigNode): boolean {
  return (
    node.kind === "map" && Object.keys(serviceShape.keys).some((key) => key !== "listeners" && node.entries.has(key))
  );
}

/** A variable may be somebody else's, so an unknown one is no mistake; a near miss is worth a line. */
export function noticeVariables(env: Readonly<Record<string, string | undefined>>, complaints: Gathered): void {
  const known = allSettings.map(({ variable }) => variable);
  for (const [name, value = ""] of Object.entries(env)) {
    if (!name.startsWith("PINGORA_ENTRY_") || known.includes(name) || own.includes(name)) continue;
    if (isServiceLink(name, value)) continue;
    const near = suggest(
      name.slice("PINGORA_ENTRY_".length),
      known.map((variable) => variable.slice("PINGORA_ENTRY_".length)),
    );
    if (near === undefined) continue;
    complaints.notice(
      { origin: { name }, offset: 0 },
      "",
      "is no setting and was passed over",
      meant(`PINGORA_ENTRY_${near}`),
    );
  }
}

/** Variables with a meaning that is no setting. */
const own = ["CHANNEL", "ID", "HOME", "UPGRADE", "REFUSAL", "CONF", "SUPERVISOR"].map(
  (name) => `PINGORA_ENTRY_${name}`,
);
