const codes = { red: "31", green: "32", yellow: "33", bold: "1", dim: "2" } as const;

export type Colour = keyof typeof codes;

/** The text in a colour, or as it is where colours are not welcome. */
export function paint(text: string, colour: Colour | undefined, welcome: boolean): string {
  return welcome && colour !== undefined && text !== "" ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
}
