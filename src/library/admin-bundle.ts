import { EntryError } from "../core/entry-error.js";

/** What our loader (src/boot.ts) and Node's say of a file that is not there; the first also of one that is damaged. */
const notWhole = ["NOT_WHOLE", "MODULE_NOT_FOUND"];

/**
 * The endpoints, a bundle of their own.
 * @throws EntryError os: it was not copied with the others, or not to its end
 */
export async function adminBundle(): Promise<typeof import("./admin.js")> {
  try {
    return await import("./admin.js");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (!notWhole.includes(code ?? "")) throw cause;
    // Node's goes on with who required it
    throw new EntryError("os", `this release is not whole: ${message.split("\n", 1)[0]}`, { cause });
  }
}
