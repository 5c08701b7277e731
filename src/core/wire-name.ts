const prefix = "wire:";

/** What an end of a service's pipe or socket is called among what the init holds. `id` may have colons in it, `wire` has none. */
export function wireName(id: string, wire: string): string {
  return `${prefix}${id}:${wire}`;
}

/** The process id in such a name; undefined: it is the name of something else. */
export function ownerOfWire(name: string): string | undefined {
  return name.startsWith(prefix) ? name.slice(prefix.length, name.lastIndexOf(":")) : undefined;
}
