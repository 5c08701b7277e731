/** What a NOTIFY_SOCKET datagram says, in the words that we act upon; sd_notify(3). */
export type NotifyWord =
  | { readonly kind: "ready" }
  | { readonly kind: "stopping" }
  | { readonly kind: "status"; readonly text: string }
  | { readonly kind: "watchdog" };

/** Longest STATUS text that is kept, in characters. */
const statusLimit = 300;

/**
 * Reads one datagram: assignments separated by newlines, in their order. What is unknown (RELOADING, MAINPID, FDSTORE, a name of
 * somebody's own) is left out, and so is what is malformed. Never throws.
 */
export function parseNotify(datagram: string): readonly NotifyWord[] {
  return datagram.split("\n").flatMap((line): NotifyWord[] => {
    if (line === "READY=1") return [{ kind: "ready" }];
    if (line === "STOPPING=1") return [{ kind: "stopping" }];
    if (line === "WATCHDOG=1") return [{ kind: "watchdog" }];
    if (!line.startsWith("STATUS=")) return [];
    return [{ kind: "status", text: printable(line.slice("STATUS=".length)) }];
  });
}

/** Somebody else's text ends up on terminals and in logs: no control characters, no end of the screen. */
export function printable(text: string, limit = statusLimit): string {
  let clean = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0) || isDirectional(code);
    clean += control ? " " : character;
    if (clean.length >= limit) break;
  }
  return clean.trim();
}

/** Marks that reorder what follows them: U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069; and the line separators. */
function isDirectional(code: number): boolean {
  return code === 0x200e || code === 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}
