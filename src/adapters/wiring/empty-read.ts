/** A read failed only because nothing is there now. Any other failure would come back at once, and for ever. */
export function isEmpty(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
