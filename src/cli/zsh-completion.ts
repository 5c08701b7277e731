import type { CommandWords, OptionWord, Place } from "./command-words.js";

/** A completion function for zsh: source it, or save it as _pingora-entry in a directory of $fpath. */
export function zshCompletion(commands: readonly CommandWords[], signals: readonly string[]): string {
  const listed = commands.filter(({ name }) => name !== "wrap");
  const top = commands.filter(({ name }) => name === "run" || name === "wrap").flatMap(({ options }) => options);
  return `#compdef pingora-entry
# zsh completion for pingora-entry: source <(pingora-entry completion zsh)
_pingora-entry() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C -A '-*' \\
${[...top.map((option) => optionSpec(option)), "'1: :->command'", "'*:: :->words'"].map((spec) => `    ${spec}`).join(" \\\n")}
  case $state in
    command) _pingora-entry_commands ;;
    words)
      case $line[1] in
${listed.map(({ name, options, places }) => `        ${name}) ${argumentsCall(options, places)} ;;`).join("\n")}
        *) _normal ;;
      esac ;;
  esac
}
_pingora-entry_commands() {
  local -a commands=(
${listed.map(({ name, summary }) => `    ${single(`${name}:${summary}`)}`).join("\n")}
  )
  _describe command commands
}
_pingora-entry_services() {
  local -a services=(\${(f)"$(pingora-entry completion services 2>/dev/null)"})
  (( $#services )) && compadd -a services
}
_pingora-entry_signals() { compadd ${signals.join(" ")} }
if [[ $funcstack[1] == _pingora-entry ]]; then _pingora-entry "$@"; else compdef _pingora-entry pingora-entry; fi
`;
}

function argumentsCall(options: readonly OptionWord[], places: readonly Place[]): string {
  const specs = [
    ...options.map(optionSpec),
    "'--help[show help]'",
    ...places.map((place, index) => placeSpec(place, index === places.length - 1 ? "*" : `${index + 1}`)),
  ];
  return `_arguments ${specs.join(" ")}`;
}

function optionSpec({ long, short, text, value }: OptionWord): string {
  const about = single(`[${text.replace(/[[\]]/g, "")}]${value === undefined ? "" : `:${action(value)}`}`);
  return short === undefined ? `${long}${about}` : `'(${short} ${long})'{${short},${long}}${about}`;
}

function placeSpec(place: Place, position: string): string {
  return single(`${position}:${action(place)}`);
}

function action(place: Place): string {
  switch (place.kind) {
    case "service":
      return "service:_pingora-entry_services";
    case "signal":
      return "signal:_pingora-entry_signals";
    case "command":
      return "command:_pingora-entry_commands";
    case "file":
      return "file:_files";
    case "words":
      return `word:(${place.words.join(" ")})`;
    case "any":
      return "value: ";
  }
}

function single(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
