import type { CommandWords, Place } from "./command-words.js";

/** A completion function for bash 4 and later; needs nothing else. */
export function bashCompletion(commands: readonly CommandWords[], signals: readonly string[]): string {
  const listed = commands.filter(({ name }) => name !== "wrap");
  const top = commands.filter(({ name }) => name === "run" || name === "wrap").flatMap(optionWords);
  const valued = commands.flatMap(valuedOptions);
  return `# bash completion for pingora-entry: source <(pingora-entry completion bash)
_pingora_entry() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= words=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case $command:\${COMP_WORDS[i]} in
      *:--) return ;;
      ${valued.map(({ pattern }) => pattern).join("|")}) i=$((i + 1)) ;;
      *:-*) ;;
      :*) command=\${COMP_WORDS[i]} ;;
      *) words=$((words + 1)) ;;
    esac
  done
  case $command:$prev in
${valued.map(({ pattern, value }) => `    ${pattern}) ${fill(value, signals, [])}; return ;;`).join("\n")}
  esac
  case $command in
    "") if [[ $cur == -* ]]; then _pingora_entry_words ${quote(top)}; else _pingora_entry_words ${quote(listed.map(({ name }) => name))}; fi ;;
${listed.map(commandCase(signals, listed)).join("\n")}
  esac
}
_pingora_entry_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_pingora_entry_files() { mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null; }
_pingora_entry_services() { _pingora_entry_words "$("\${COMP_WORDS[0]}" completion services 2>/dev/null)"; }
complete -F _pingora_entry pingora-entry
`;
}

type Commands = readonly CommandWords[];

/** Options with a value as patterns for COMMAND:OPTION; those of run and wrap stand without a command. */
function valuedOptions({ name, options }: CommandWords): { readonly pattern: string; readonly value: Place }[] {
  const prefixes = name === "wrap" ? [""] : name === "run" ? ["run", ""] : [name];
  return options.flatMap(({ long, short, value }) => {
    if (value === undefined) return [];
    const words = short === undefined ? [long] : [short, long];
    return [{ pattern: prefixes.flatMap((prefix) => words.map((word) => `${prefix}:${word}`)).join("|"), value }];
  });
}

function commandCase(signals: readonly string[], commands: Commands): (command: CommandWords) => string {
  return (command) => {
    const { name, places } = command;
    const options = optionWords(command);
    const cases = places.map(
      (place, index) => `${index === places.length - 1 ? "*" : index}) ${fill(place, signals, commands)} ;;`,
    );
    const inPlace = cases.length === 0 ? ":" : `case $words in ${cases.join(" ")} esac`;
    return `    ${name}) if [[ $cur == -* ]]; then _pingora_entry_words ${quote(options)}; else ${inPlace}; fi ;;`;
  };
}

function fill(place: Place, signals: readonly string[], commands: Commands): string {
  switch (place.kind) {
    case "service":
      return "_pingora_entry_services";
    case "signal":
      return `_pingora_entry_words ${quote(signals)}`;
    case "command":
      return `_pingora_entry_words ${quote([...commands.map(({ name }) => name), "wrap"])}`;
    case "file":
      return "_pingora_entry_files";
    case "words":
      return `_pingora_entry_words ${quote(place.words)}`;
    case "any":
      return ":";
  }
}

function optionWords({ options }: CommandWords): string[] {
  return [...options.flatMap(({ long, short }) => (short === undefined ? [long] : [short, long])), "--help"];
}

function quote(words: readonly string[]): string {
  return `"${[...new Set(words)].join(" ")}"`;
}
