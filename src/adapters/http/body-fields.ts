import type { FastifyRequest } from "fastify";
import { EntryError } from "../../core/entry-error.js";

/** The fields of a JSON body; none when it is empty. @throws EntryError usage when it is no JSON object */
export function bodyFields(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const text = typeof request.body === "string" ? request.body.trim() : "";
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {}
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new EntryError("usage", "cannot read the request's body: it is no JSON object");
}
