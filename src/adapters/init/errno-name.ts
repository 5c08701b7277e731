import { constants } from "node:os";

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** 2 -> "ENOENT"; "errno 4711" for a number without a name. */
export function errnoName(number: number): string {
  return names.get(number) ?? `errno ${number}`;
}
