import { createHash } from "node:crypto";
import type { FastifyReply } from "fastify";
import type { Snapshot } from "../../core/snapshot.js";
import page from "./status-page.html";

/** The page is static but for the snapshot it begins with, which is data to the browser and never text of the page. */
export function statusPage(reply: FastifyReply, _snapshot: Snapshot, json: string): FastifyReply {
  const { before, after, policy } = prepared();
  const data = json.replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  return reply
    .headers({
      "content-security-policy": policy,
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
      "cross-origin-resource-policy": "same-origin",
    })
    .type("text/html; charset=utf-8")
    .send(`${before}${data}${after}`);
}

let made: { readonly before: string; readonly after: string; readonly policy: string } | undefined;

/** Nothing is allowed but what stands in the page: its script and style are named by their hashes. */
function prepared() {
  if (made !== undefined) return made;
  const hash = (tag: string): string => {
    const text = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(page)?.[1] ?? "";
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  };
  const [before = "", after = ""] = page.split('"{{snapshot}}"');
  const policy = `default-src 'none'; script-src ${hash("script")}; style-src ${hash("style")}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  made = { before, after, policy };
  return made;
}
