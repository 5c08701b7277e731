import { createHash } from "node:crypto";
import type { FastifyReply } from "fastify";
import { phaseFacts, phases } from "../../core/phase.js";
import type { Snapshot } from "../../core/snapshot.js";
import { readiness } from "../../core/views.js";
import page from "./status-page.html";

/** The page is static but for the snapshot it begins with: data to its script, escaped text to a browser without scripts. */
export function statusPage(reply: FastifyReply, snapshot: Snapshot, json: string): FastifyReply {
  const { text, policy } = prepared();
  const [top = "", middle = "", bottom = ""] = text;
  return reply
    .headers({
      "content-security-policy": policy,
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
      "cross-origin-resource-policy": "same-origin",
    })
    .type("text/html; charset=utf-8")
    .send(`${top}${plain(snapshot)}${middle}${scriptData(json)}${bottom}`);
}

/** No text may end the script element it stands in. */
function scriptData(json: string): string {
  return json.replaceAll("<", "\\u003c");
}

function plain(snapshot: Snapshot): string {
  const lines = readiness(snapshot).checks.map(({ name, ok, reason }) => `${ok ? "+" : "-"} ${name}: ${reason}`);
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return [snapshot.phase, ...lines].join("\n").replace(/[&<>"]/g, (character) => entities[character] ?? "");
}

let made: { readonly text: readonly string[]; readonly policy: string } | undefined;

/** Nothing is allowed but what stands in the page: its script and style are named by their hashes. */
function prepared() {
  if (made !== undefined) return made;
  const hash = (tag: string): string => {
    const inline = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(page)?.[1] ?? "";
    return `'sha256-${createHash("sha256").update(inline).digest("base64")}'`;
  };
  const facts = phases.map((name) => ({ name, meaning: phaseFacts[name].meaning }));
  const text = page
    .replace('"{{phases}}"', () => scriptData(JSON.stringify(facts)))
    .split(/\{\{plain\}\}|"\{\{snapshot\}\}"/);
  const policy = [
    "default-src 'none'",
    `script-src ${hash("script")}`,
    `style-src ${hash("style")}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  made = { text, policy };
  return made;
}
