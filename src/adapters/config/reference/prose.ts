/** The parts of the reference that are not in the schema. Every yaml block is loaded by a test. */
export const example = `A whole configuration, with much of what there is:

\`\`\`yaml
listeners:
  http: { tcp: "0.0.0.0:8080" }
services:
  migrate: { command: [./migrate], type: oneshot }
  cache:
    command: [redis-server, --port, "6379"]
    readinessProbe: { tcpSocket: { port: 6379 } }
  web:
    command: [node, server.js]
    dependsOn: { migrate: completed, cache: ready }
    listeners: [http]
    readinessProbe: { httpGet: { path: /healthz, listener: http }, periodSeconds: 1 }
    restart: { policy: on-failure, limit: 5, windowSeconds: 60 }
    stop: { signal: SIGTERM, graceSeconds: 15 }
    env: { NODE_ENV: production, LOG_LEVEL: "\${LOG_LEVEL:-info}", DEBUG: null }
    workingDirectory: /srv
    limits: { nofile: 4096 }
shutdown: { gracePeriodSeconds: 25, lameDuckSeconds: 5, reserveSeconds: 1 }
\`\`\`

\`pingora-entry check\` reads it as a start would and prints every problem with line and column.`;

export const rules = `## Where values come from

Options beat \`PINGORA_ENTRY_...\` variables, which beat files, which beat defaults.

- Files: \`-c FILE|DIR\`, repeatable; without it \`PINGORA_ENTRY_CONF\` (paths separated by colons), without that \`/etc/pingora-entry/config.yaml\` when it
  exists. Later files override earlier ones. A directory gives its \`*.yaml\`, \`*.yml\` and \`*.json\`, sorted by name.
- Maps are merged key by key, at every depth. Everything else is replaced, lists too. A written \`null\` takes back what an earlier file said, so that
  the default applies; a key with nothing behind it says nothing.
- Variables: every single-valued setting has one, named in the tables below. An empty variable counts as not set.
- Keys that begin with \`x-\` at the top level are yours, for instance to hold anchors.

Files are YAML 1.2 (JSON is YAML), one document of at most 1 MiB, with anchors, aliases and merge keys. \`yes\`, \`no\`, \`on\` and \`off\` are texts.

\`\`\`yaml
x-defaults: &defaults
  restart: { policy: always, limit: 0 }
  output: prefix
services:
  api: { <<: *defaults, command: ./api }
  worker: { <<: *defaults, command: ./worker --queue mail }
\`\`\`

## Values that are put in

In every value that is a text:

| written | becomes |
|---|---|
| \`\${VAR}\` | the environment variable; that it is not set is a problem |
| \`\${VAR:-default}\` | the same, or the default when it is not set or empty; the default may hold another \`\${...}\` |
| \`\${file:/path}\` | the file's content without its last line end |
| \`$$\` | \`$\`; so \`$\${\` is a literal \`\${\` |

A lone \`$\` stays. What was put in may be a number where one is needed: \`port: "\${PORT}"\`. The variables are those pingora-entry was given;
\`env\` and \`envFiles\` are for services and are not seen here. Problems never show a value that was put in: it could be a secret.

In env files, each line is \`NAME=value\`; \`export\` before it, blank lines and \`#\` comments are fine; \`'...'\` is literal, \`"..."\` knows \`\\n\`, \`\\t\`,
\`\\"\` and \`\\\\\`, both may span lines. Nothing is expanded. A relative path is relative to the file that names it. For a service, later beats earlier: the
environment of pingora-entry, the global \`envFiles\`, the global \`env\`, the service's \`envFiles\`, its \`env\`.

\`\`\`yaml
services:
  web:
    command: [node, server.js]
    env:
      PORT: "\${PORT:-8080}"
      PRICE: "5 $$"
\`\`\``;
