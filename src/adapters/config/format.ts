import { suggest } from "../../core/suggest.js";
import { meant, quote } from "./complaints.js";
import type { ScalarNode } from "./node.js";

export type JsonSchema = Readonly<Record<string, unknown>>;

/** Why a value was not taken. */
export class Refused {
  readonly message: string;
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    this.message = message;
    this.hint = hint;
  }
}

export interface Written {
  readonly value: ScalarNode["value"];
  readonly text: string;
  readonly quoted: boolean;
}

/** How one scalar is written. Formats of settings must accept what they produced: convict converts first and validates the result. */
export interface Format<T> {
  readonly name: string;
  /** what is needed, with its article: "a number of seconds" */
  readonly needs: string;
  /** undefined: not this; Refused: it is clear what is wrong with it */
  readonly parse: (written: Written) => T | undefined | Refused;
  readonly json: JsonSchema;
  /** the value as it is written; the value itself when left out */
  readonly write?: (value: never) => string | number | boolean;
}

/** Any scalar, as it was written, but not nothing. */
export const text: Format<string> = {
  name: "text",
  needs: "a text that is not empty",
  parse: ({ value, text: written }) => (value === null || written === "" ? undefined : written),
  json: { type: ["string", "number", "boolean"] },
};

/** Any scalar, as it was written; may be empty. */
export const anyText: Format<string> = {
  name: "any text",
  needs: "a text",
  parse: ({ value, text: written }) => (value === null ? undefined : written),
  json: { type: ["string", "number", "boolean"] },
};

export const flag: Format<boolean> = {
  name: "flag",
  needs: "true or false",
  parse: ({ value, text: written }) => {
    if (typeof value === "boolean") return value;
    if (written === "true" || written === "false") return written === "true";
    const word = written.toLowerCase();
    if (["yes", "on", "1"].includes(word))
      return new Refused(`${quote(written)} is neither true nor false`, "write true");
    if (["no", "off", "0"].includes(word))
      return new Refused(`${quote(written)} is neither true nor false`, "write false");
    return undefined;
  },
  json: { enum: [true, false, "true", "false"] },
};

/** Numbers may be quoted: variables and templates only give text. */
const numberPattern = "^\\s*[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?\\s*$";

/** A whole number from `least` to `most`. */
export function count(least: number, most: number): Format<number> {
  return numberFormat(`count ${least}..${most}`, "a whole number", least, most, true, {
    type: ["integer", "string"],
    pattern: numberPattern,
    minimum: least,
    maximum: most,
  });
}

/** setTimeout's own limit is 24.8 days; nothing here has to wait longer. */
const longest = 2_000_000;

/** Seconds, fractions allowed, from `least` on. */
export function seconds(least = 0): Format<number> {
  return numberFormat(`seconds ${least}`, "a number of seconds", least, longest, false, {
    type: ["number", "string"],
    pattern: numberPattern,
    minimum: least,
    maximum: longest,
  });
}

function numberFormat(
  name: string,
  needs: string,
  least: number,
  most: number,
  whole: boolean,
  json: JsonSchema,
): Format<number> {
  return {
    name,
    needs,
    json,
    parse: (written) => {
      const value = numberOf(written);
      if (value === undefined) return unitHint(written, needs);
      if (whole && !Number.isInteger(value)) return undefined;
      if (value < least) return new Refused(`${written.text} is too small`, `the least is ${least}`);
      if (value > most) return new Refused(`${written.text} is too large`, `the most is ${most}`);
      return value;
    },
  };
}

/** A number, or text that is one: variables only give text. */
function numberOf({ value, text: written }: Written): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string" || !new RegExp(numberPattern).test(written)) return undefined;
  return Number(written);
}

function unitHint({ text: written }: Written, needs: string): Refused | undefined {
  const duration = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(written);
  if (duration === null || !needs.includes("seconds")) return undefined;
  const factor = { ms: 0.001, s: 1, m: 60, h: 3600 }[duration[2] as "ms" | "s" | "m" | "h"];
  return new Refused(
    `${quote(written)} has a unit, a plain number of seconds is needed`,
    `write ${Number(duration[1]) * factor}`,
  );
}

/** One of a few words; `aliases` are other words that people know for them. */
export function word<const T extends string>(
  words: readonly T[],
  aliases: Readonly<Record<string, T>> = {},
): Format<T> {
  return {
    name: words.join("|"),
    needs: `one of ${words.join(", ")}`,
    parse: ({ text: written, value }) => {
      const known = words.find(
        (candidate) => candidate === written || (typeof value === "boolean" && candidate === String(value)),
      );
      if (known !== undefined) return known;
      const alias = Object.hasOwn(aliases, written) ? aliases[written] : undefined;
      const near = alias === undefined ? meant(suggest(written, words)) : `write ${alias}`;
      return near === undefined ? undefined : new Refused(`${quote(written)} is not one of ${words.join(", ")}`, near);
    },
    json: {
      enum: [...words, ...[true, false].filter((value) => (words as readonly string[]).includes(String(value)))],
    },
  };
}

/** An absolute path. */
export const path: Format<string> = {
  name: "path",
  needs: "an absolute path",
  parse: ({ value, text: written }) => (value === null || !written.startsWith("/") ? undefined : written),
  json: { type: "string", pattern: "^/|\\$\\{" },
};

/** A file mode: `"0660"`, `0660`, `0o660`. Always octal, however YAML reads it. */
export const mode: Format<number> = {
  name: "mode",
  needs: 'an octal mode such as "0660"',
  parse: ({ value, text: written, quoted }) => {
    const octal = /^(0o?)?([0-7]{1,4})$/.exec(written);
    if (octal === null || value === null) return undefined;
    if (octal[1] === undefined && !quoted) {
      return new Refused(
        `${written} could be decimal or octal`,
        `write "0${written.padStart(3, "0")}" for octal ${written}`,
      );
    }
    const bits = Number.parseInt(octal[2] ?? "", 8);
    if (bits <= 0o777) return bits;
    return new Refused(`${written} is more than permissions`, 'the most is "0777"');
  },
  json: { type: ["string", "integer"], pattern: "^(0o?)?0?[0-7]{1,3}$" },
  write: (value: number) => `0${value.toString(8).padStart(3, "0")}`,
};
