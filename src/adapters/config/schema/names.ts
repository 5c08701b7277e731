import type { Format } from "../format.js";
import { anyText, text } from "../format.js";
import { commandLine } from "../format-process.js";
import { either, listOf, mapOf, type NameRule, nullable, type Shape, scalarOf } from "../shape.js";

/** Names of services and listeners: they appear in metrics labels, LISTEN_FDNAMES, URLs and log fields. */
export const nameRule: NameRule = {
  pattern: /^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/,
  needs: "letters, digits, - and _ (not first or last), at most 63",
};

/** Ours; no service can be called so. */
export const reservedNames: readonly string[] = ["pingora-entry", "supervisor", "init", "admin"];

const variableRule: NameRule = {
  pattern: /^[A-Za-z_][A-Za-z0-9_.-]*$/,
  needs: "a variable's name is letters, digits and _, not beginning with a digit",
};

const name: Format<string> = { ...text, name: "name", needs: "a name" };
export const listenerName: Shape<string> = scalarOf({ ...name, needs: "the name of a listener" });
export const serviceName: Shape<string> = scalarOf({ ...name, needs: "the name of a service" });

/** A list of words, or one text that is split at blanks. */
export const commandShape = either({
  scalar: scalarOf(commandLine),
  list: listOf(scalarOf(anyText), "a list of words", 1),
});

/** `{ NAME: value }`, null removes; or a list of NAME=value. */
export const envShape = either({
  map: mapOf(nullable(scalarOf(anyText)), "a map of variables", variableRule),
  list: listOf(scalarOf(anyText), "a list of NAME=value"),
});

/** One path or several. */
export const envFilesShape = either({
  scalar: scalarOf(text),
  list: listOf(scalarOf(text), "a list of paths"),
});
