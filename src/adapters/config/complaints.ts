import type { Problem } from "../../core/entry-error.js";
import { type Place, placeOf } from "./node.js";

/** Gathers everything that is wrong with a configuration, so that it can be said at once. */
export interface Complaints {
  /** the configuration cannot be used */
  problem(place: Place | undefined, path: string, message: string, hint?: string): void;
  /** it can, and an operator will want to know: `check` prints these, a start logs them at warn */
  warning(place: Place | undefined, path: string, message: string, hint?: string): void;
  /** worth one line at info */
  notice(place: Place | undefined, path: string, message: string, hint?: string): void;
}

export interface Gathered extends Complaints {
  readonly problems: Problem[];
  readonly warnings: Problem[];
  readonly notices: Problem[];
}

export function gatherComplaints(): Gathered {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const notices: Problem[] = [];
  const into =
    (list: Problem[]) =>
    (place: Place | undefined, path: string, message: string, hint?: string): void => {
      list.push({
        message,
        ...(path === "" ? {} : { path }),
        ...(place === undefined ? {} : { source: placeOf(place) }),
        ...(hint === undefined ? {} : { hint }),
      });
    };
  return { problems, warnings, notices, problem: into(problems), warning: into(warnings), notice: into(notices) };
}

/** "; did you mean ...?" when something near is known. */
export function meant(suggestion: string | undefined): string | undefined {
  return suggestion === undefined ? undefined : `did you mean "${suggestion}"?`;
}

/** "U+000D" */
export function characterCode(char: string): string {
  return `U+${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A key in a path: as it is when it looks like one, else quoted. */
export function keyWord(name: string): string {
  return /^[\w.@/-]{1,60}$/.test(name) ? name : quote(name);
}

/** Quoted, and whole: a path that was cut could not be looked for. */
export function quotePath(path: string): string {
  return path.length > 4096 ? quote(path) : JSON.stringify(path);
}

/** Quoted for a message: control characters escaped, long texts cut. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
