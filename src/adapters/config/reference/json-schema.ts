import type { JsonSchema } from "../format.js";
import { pingoraIgnored } from "../schema/pingora.js";
import { root } from "../schema/root.js";
import type { KeyData, ObjectShape, ShapeData } from "../shape.js";

const expansion = { $ref: "#/definitions/expansion" };

/** The configuration as JSON Schema, draft-7: what editors complete from. Looser than loading, which also knows what belongs together. */
export function configJsonSchema(): JsonSchema {
  const definitions: Record<string, JsonSchema> = {
    expansion: {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      description: "A value that is put in when the configuration is read: ${VAR}, ${VAR:-default}, ${file:/path}.",
      type: "string",
      pattern: "\\$\\{",
    },
  };
  const top = objectSchema(root, definitions);
  const ignored = Object.entries(pingoraIgnored).map(([name, what]) => [
    name,
    { description: `pingora's; means nothing here (${what}).` },
  ]);
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "pingora-entry configuration",
    ...top,
    // a file without a word is the defaults
    type: ["object", "null"],
    properties: { ...(top.properties as object), ...Object.fromEntries(ignored) },
    patternProperties: { "^x-": { description: "Yours: a place for anchors." } },
    definitions,
  };
}

function objectSchema(shape: ObjectShape, definitions: Record<string, JsonSchema>): JsonSchema {
  const properties = Object.entries(shape.keys).map(([name, key]) => [name, keySchema(key, definitions)]);
  return { type: "object", properties: Object.fromEntries(properties), additionalProperties: false };
}

function keySchema(key: KeyData, definitions: Record<string, JsonSchema>): JsonSchema {
  const schema = orNull(shapeSchema(key.shape, definitions));
  const notes = {
    description: key.defaultText === undefined ? key.doc : `${key.doc} Default: ${key.defaultText}.`,
    ...(key.default === undefined || isMode(key) ? {} : { default: key.default }),
    ...(key.examples === undefined ? {} : { examples: key.examples }),
  };
  return { ...schema, ...notes };
}

/** `key:` with nothing behind it, and a written null, say nothing. */
function orNull(schema: JsonSchema): JsonSchema {
  const nothing = { type: "null" };
  if (Array.isArray(schema.anyOf)) return { ...schema, anyOf: [...schema.anyOf, nothing] };
  if (Array.isArray(schema.enum)) return { ...schema, enum: [...schema.enum, null] };
  // in draft-7 nothing may stand beside $ref
  return schema.type === undefined ? { anyOf: [schema, nothing] } : { ...schema, type: [schema.type, "null"].flat() };
}

function isMode(key: KeyData): boolean {
  return key.shape.kind === "scalar" && key.shape.format.name === "mode";
}

function shapeSchema(shape: ShapeData, definitions: Record<string, JsonSchema>): JsonSchema {
  switch (shape.kind) {
    case "scalar":
      return acceptsAnyText(shape.format.json) ? shape.format.json : { anyOf: [shape.format.json, expansion] };
    case "nullable":
      return { anyOf: [shapeSchema(shape.of, definitions), { type: "null" }] };
    case "list":
      return {
        type: "array",
        items: shapeSchema(shape.of, definitions),
        ...(shape.least > 0 ? { minItems: shape.least } : {}),
      };
    case "map":
      return {
        type: "object",
        propertyNames: { pattern: shape.names.pattern.source },
        additionalProperties:
          shape.of.kind === "nullable"
            ? shapeSchema(shape.of, definitions)
            : orNull(shapeSchema(shape.of, definitions)),
      };
    case "either": {
      const ways = [shape.scalar, shape.list, shape.map].flatMap((way) =>
        way === undefined ? [] : [shapeSchema(way, definitions)],
      );
      return ways.length === 1 && ways[0] !== undefined ? ways[0] : { anyOf: ways };
    }
    case "object": {
      const name = shape.title.replaceAll(" ", "-").replaceAll("'", "");
      if (!Object.hasOwn(definitions, name)) {
        // claimed first, so that the order is that of the first use
        definitions[name] = {};
        definitions[name] = objectSchema(shape, definitions);
      }
      return { $ref: `#/definitions/${name}` };
    }
  }
}

function acceptsAnyText(json: JsonSchema): boolean {
  const types = Array.isArray(json.type) ? json.type : [json.type];
  return types.includes("string") && json.pattern === undefined && json.minLength === undefined;
}
