import type { CommandWords, OptionWord, Place } from "./command-words.js";

/** Completions for fish 3: source them, or save them as ~/.config/fish/completions/pingora-entry.fish. */
export function fishCompletion(commands: readonly CommandWords[], signals: readonly string[]): string {
  const listed = commands.filter(({ name }) => name !== "wrap");
  const names = listed.map(({ name }) => name).join(" ");
  const none = `not __fish_seen_subcommand_from ${names}`;
  const lines = listed.flatMap((command) => {
    const seen = `__fish_seen_subcommand_from ${command.name}`;
    return [
      `complete -c pingora-entry -n ${quote(none)} -f -a ${command.name} -d ${quote(command.summary)}`,
      ...command.options.map((option) => optionLine(option, seen, signals)),
      ...command.places.map((place, index) => placeLine(command, place, index, names, signals)),
    ];
  });
  const top = commands.filter(({ name }) => name === "run" || name === "wrap").flatMap(({ options }) => options);
  return `# fish completion for pingora-entry: pingora-entry completion fish | source
function __pingora_entry_services
    pingora-entry completion services 2>/dev/null
end
# true when so many words follow the subcommand
function __pingora_entry_words
    set -l words (string match -v -- '-*' (commandline -opc))
    test (math (count $words) - 2) $argv[1] $argv[2]
end
complete -c pingora-entry -f -l help -d 'show help'
${[...new Set(top.map((option) => optionLine(option, none, signals)))].join("\n")}
${lines.join("\n")}
`;
}

function optionLine({ long, short, text, value }: OptionWord, condition: string, signals: readonly string[]): string {
  const names = `-l ${long.slice(2)}${short === undefined ? "" : ` -s ${short.slice(1)}`}`;
  const values =
    value === undefined ? "-f" : value.kind === "file" ? "-r -F" : `-x ${candidates(value, "", signals)}`.trimEnd();
  return `complete -c pingora-entry -n ${quote(condition)} ${names} ${values} -d ${quote(text)}`;
}

function placeLine(
  { name, places }: CommandWords,
  place: Place,
  index: number,
  names: string,
  signals: readonly string[],
): string {
  const last = index === places.length - 1;
  const condition = `__fish_seen_subcommand_from ${name}; and __pingora_entry_words ${last ? "-ge" : "-eq"} ${index}`;
  return `complete -c pingora-entry -n ${quote(condition)} -f ${candidates(place, names, signals)}`;
}

function candidates(place: Place, commands: string, signals: readonly string[]): string {
  switch (place.kind) {
    case "service":
      return "-a '(__pingora_entry_services)'";
    case "signal":
      return `-a ${quote(signals.join(" "))}`;
    case "command":
      return `-a ${quote(`${commands} wrap`)}`;
    case "words":
      return `-a ${quote(place.words.join(" "))}`;
    case "file":
    case "any":
      return "";
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
