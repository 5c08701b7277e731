import { type Colour, paint } from "../core/terminal-colour.js";

export interface Cell {
  readonly text: string;
  readonly colour?: Colour | undefined;
}

/** Columns two blanks apart. `width` cuts the last column so that no line is longer; undefined: nothing is cut. */
export function table(rows: readonly (readonly Cell[])[], colours: boolean, width?: number): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, { text }] of row.slice(0, -1).entries())
      widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  return rows.map((row) => {
    let left = width ?? Number.POSITIVE_INFINITY;
    const cells = row.map(({ text, colour }, column) => {
      const last = column === row.length - 1;
      const shown = last ? cut(text, left) : text;
      left -= (widths[column] ?? 0) + 2;
      return paint(shown, colour, colours) + (last ? "" : " ".repeat((widths[column] ?? 0) - shown.length));
    });
    return cells.join("  ").trimEnd();
  });
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  return width < 2 ? "" : `${text.slice(0, width - 1)}…`;
}

/** At most so many columns of a line that may have colours in it. */
export function cutPainted(line: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours take no columns
  const parts = line.split(/(\x1b\[\d*m)/);
  const length = parts.reduce((sum, part, index) => sum + (index % 2 === 0 ? part.length : 0), 0);
  if (length <= width) return line;
  let left = width - 1;
  let text = "";
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) text += part;
    else if (left >= 0) {
      text += part.length > left ? `${part.slice(0, left)}…` : part;
      left -= part.length > left ? left + 1 : part.length;
    }
  }
  return text;
}
