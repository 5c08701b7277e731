import type { Command } from "./command.js";

/** What may stand in a place of the command line: names of the running instance, of signals, of commands, files, or fixed words. */
export type Place =
  | { readonly kind: "service" | "signal" | "command" | "file" | "any" }
  | { readonly kind: "words"; readonly words: readonly string[] };

export interface OptionWord {
  /** with its dashes */
  readonly long: string;
  readonly short?: string;
  /** what follows it; undefined: nothing */
  readonly value?: Place;
  readonly text: string;
}

export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWord[];
  /** the places after the options; the last one repeats */
  readonly places: readonly Place[];
}

/** The words of a command, read from its usage: what help says is what is completed. */
export function commandWords({ name, summary, usage }: Command): CommandWords {
  const synopsis = usage.slice(0, usage.indexOf("\n\n"));
  const options = [...usage.matchAll(/^ +(?:(-\w), )?(--[a-z-]+)(?: ([A-Z][A-Z:|]*))? {2,}(\S.*)$/gm)].map(
    ([, short, long = "", value, text = ""]): OptionWord => {
      const place = value === undefined ? undefined : optionPlace(synopsis, long, value);
      return {
        long,
        text: brief(text),
        ...(short === undefined ? {} : { short }),
        ...(place === undefined ? {} : { value: place }),
      };
    },
  );
  return { name, summary, options, places: places(synopsis) };
}

function optionPlace(synopsis: string, long: string, value: string): Place {
  const choices = new RegExp(`${long} ([a-z]+(?:\\|[a-z]+)+)`).exec(synopsis)?.[1];
  if (choices !== undefined) return { kind: "words", words: choices.split("|") };
  if (/FILE|DIR|PATH/.test(value)) return { kind: "file" };
  return value === "SIG" ? { kind: "signal" } : { kind: "any" };
}

function places(synopsis: string): readonly Place[] {
  // what belongs to options, or is one, is no place
  const bare = synopsis
    .replace(/^usage: pingora-entry \[?[a-z]*\]?/, "")
    .replace(/\[?-[^\]]*\]?(\.\.\.)?/g, (option) => (option.startsWith("[") ? "" : option));
  return bare.split(/\s+/).flatMap((word): Place[] => {
    if (word.includes("SERVICE")) return [{ kind: "service" }];
    if (word.includes("SIGNAL")) return [{ kind: "signal" }];
    if (word.includes("COMMAND")) return [{ kind: "command" }];
    const words = /^\[?([a-z]+(?:\|[a-z]+)+)\]?$/.exec(word)?.[1];
    return words === undefined ? [] : [{ kind: "words", words: words.split("|") }];
  });
}

/** The first words of an explanation, fit for a list. */
function brief(text: string): string {
  return text.split(/[;:(]| \(|, one /)[0]?.trim() ?? "";
}
