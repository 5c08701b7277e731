import type { ByteBuilder } from "./byte-builder.js";

/** One line, or a part of one that is longer than the limit. */
export interface Line {
  /** without the newline; a window that is valid only during the call */
  readonly bytes: Uint8Array;
  /** decoded; bytes that are no UTF-8 are U+FFFD */
  readonly text: string;
  /** not the first part of its line */
  readonly continues: boolean;
  /** the last part of its line */
  readonly whole: boolean;
  /** wall clock, milliseconds */
  readonly at: number;
}

export type LineFormat = (line: Line, out: ByteBuilder) => void;

/** Whose output it is. */
export interface Speaker {
  readonly service: string;
  /** counts from 0 */
  readonly instance: number;
  readonly stream: "stdout" | "stderr";
}

/** The speaker of a process id in the form SERVICE/INSTANCE#LIFE. */
export function speakerOf(service: string, id: string, stream: "stdout" | "stderr"): Speaker {
  const instance = /\/(\d+)#\d+$/.exec(id)?.[1];
  return { service, instance: Number(instance ?? 0), stream };
}

const newline = Uint8Array.of(0x0a);
const colours = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/**
 * `[web] line`; the second and later instances are `[web/1]`; `[web+]` goes on with a line that was too long. The bytes of the line
 * are passed on as they are.
 */
export function prefixFormat(speaker: Speaker, colour: boolean): LineFormat {
  const name = speaker.instance === 0 ? speaker.service : `${speaker.service}/${speaker.instance}`;
  const paint = (text: string): Uint8Array =>
    Buffer.from(colour ? `\x1b[${colourOf(speaker.service)}m${text}\x1b[0m ` : `${text} `);
  const first = paint(`[${name}]`);
  const next = paint(`[${name}+]`);
  return ({ bytes, continues }, out) => {
    out.bytes(continues ? next : first);
    out.bytes(bytes);
    out.bytes(newline);
  };
}

/**
 * One JSON object per line: time, service, instance, stream, and `message`, or `data` when the line is a JSON object itself, so that
 * neither field ever changes its type. A line that was cut has `partial: true` in all its parts but the last.
 */
export function jsonFormat(speaker: Speaker): LineFormat {
  const { service, instance, stream } = speaker;
  const fixed = `,"service":${JSON.stringify(service)},"instance":${instance},"stream":"${stream}",`;
  let at = Number.NaN;
  let time = "";
  return (line, out) => {
    if (line.at !== at) {
      at = line.at;
      time = `{"time":"${new Date(at).toISOString()}"`;
    }
    const object = line.whole && !line.continues ? jsonObject(line.text) : undefined;
    const content = object === undefined ? `"message":${JSON.stringify(line.text)}` : `"data":${object}`;
    out.text(`${time}${fixed}${line.whole ? "" : '"partial":true,'}${content}}\n`);
  };
}

/** The text as it is, numbers and order untouched, when it is one JSON object. */
function jsonObject(text: string): string | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{") || !trimmed.endsWith("}")) return undefined;
  try {
    JSON.parse(trimmed);
    return trimmed;
  } catch {
    return undefined;
  }
}

function colourOf(name: string): number {
  let hash = 0;
  for (let index = 0; index < name.length; index += 1) hash = (hash * 31 + name.charCodeAt(index)) >>> 0;
  return colours[hash % colours.length] ?? 36;
}
