import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { container, find, helms, lint, render, skip } from "./helm.js";
import { shop } from "./values.js";

test("chart is tested when a helm is on the PATH", { skip }, () => assert.ok(helms.length > 0));

for (const helm of helms) {
  describe(`chart, ${helm}`, () => {
    test("lint finds nothing, with and without services", () => {
      for (const values of [{}, shop]) assert.ok(lint(helm, values).ok, lint(helm, values).stdout);
    });

    test("Deployment and container get the same grace from one value", () => {
      for (const grace of [30, 47]) {
        const outcome = render(helm, { ...shop, terminationGracePeriodSeconds: grace });
        const { spec } = find(outcome, "Deployment").spec.template;
        assert.equal(spec.terminationGracePeriodSeconds, grace);
        const variable = "PINGORA_ENTRY_SHUTDOWN_GRACE_PERIOD_SECONDS";
        const { value } = container(outcome).env.find(({ name }: { name: string }) => name === variable);
        assert.equal(value, String(grace));
      }
    });

    test("a large grace is written as a whole number, and has one source", () => {
      const outcome = render(helm, { terminationGracePeriodSeconds: 10_000_000 }, ["--skip-schema-validation"]);
      const text = JSON.stringify(find(outcome, "Deployment"));
      assert.match(text, /"terminationGracePeriodSeconds":10000000[,}]/);
      assert.match(text, /"value":"10000000"/);
      const twice = render(helm, { env: [{ name: "PINGORA_ENTRY_SHUTDOWN_GRACE_PERIOD_SECONDS", value: "99" }] });
      assert.match(twice.stderr, /is made of terminationGracePeriodSeconds/);
    });

    test("names of ports are unique, valid and never admin, and the Service leads to the right one", () => {
      const names = ["payments-service-http", "payments-service-https", "admin", "8080", "a--b", "Web_UI"];
      const listeners = Object.fromEntries(names.map((name, n) => [name, { tcp: `0.0.0.0:${8_000 + n}` }]));
      const services = { all: { command: ["true"], listeners: names } };
      for (const [n, listener] of names.entries()) {
        const outcome = render(helm, { services, listeners, service: { listener } });
        const ports = container(outcome).ports as { name: string; containerPort: number }[];
        assert.equal(new Set(ports.map(({ name }) => name)).size, names.length + 1, outcome.stderr);
        for (const { name } of ports) {
          assert.equal(typeof name, "string");
          assert.match(name, /^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/);
        }
        const [main, admin] = find(outcome, "Service").spec.ports;
        assert.deepEqual([main.targetPort, admin.name], [8_000 + n, "admin"]);
        assert.equal(ports.find(({ name }) => name === main.name)?.containerPort, 8_000 + n);
      }
      const clash = render(helm, { services, listeners: { ...listeners, admin: { tcp: "0.0.0.0:9090" } } });
      assert.match(clash.stderr, /listeners\.admin: port 9090 is admin\.port/);
    });

    test("no label and no annotation is written twice, and none changes what selects the pods", () => {
      const labels = { "app.kubernetes.io/name": "x", "app.kubernetes.io/version": "9", team: "a" };
      const values = { commonLabels: labels, podLabels: { team: "b" }, podAnnotations: { "checksum/config": "mine" } };
      const outcome = render(helm, values);
      assert.ok(outcome.ok, outcome.stderr);
      const { metadata, spec } = find(outcome, "Deployment");
      assert.deepEqual(
        [metadata.labels["app.kubernetes.io/name"], metadata.labels["app.kubernetes.io/version"], metadata.labels.team],
        ["pingora-entry", "9", "a"],
      );
      const pod = spec.template.metadata;
      assert.deepEqual(
        [pod.labels["app.kubernetes.io/name"], pod.labels.team, pod.annotations["checksum/config"]],
        ["pingora-entry", "b", "mine"],
      );
    });

    test("ConfigMap holds services, listeners and the rest as they were written", () => {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      const config = { env: { MODE: "${MODE:-fast}" }, admin: { prestopToken: "abcdefghijklmnop" } };
      const written = parse(find(render(helm, { ...shop, config }), "ConfigMap").data["config.yaml"]);
      assert.deepEqual(written, {
        ...shop,
        env: config.env,
        admin: { ...config.admin, tcp: "0.0.0.0:9090" },
        shutdown: { lameDuckSeconds: 5, reserveSeconds: 1 },
      });
    });

    test("without services there is one that says hello", () => {
      const written = parse(find(render(helm, {}), "ConfigMap").data["config.yaml"]);
      assert.deepEqual(Object.keys(written.services), ["hello"]);
    });

    test("configFromImage makes no ConfigMap and mounts none", () => {
      const outcome = render(helm, { configFromImage: true, service: { targetPort: 8080 } });
      assert.equal(find(outcome, "ConfigMap"), undefined);
      const mounts = container(outcome).volumeMounts.map(({ name }: { name: string }) => name);
      assert.deepEqual(mounts, ["run", "tmp"]);
    });

    test("ports of listeners become ports of the container, and of the Service", () => {
      const outcome = render(helm, shop);
      assert.deepEqual(container(outcome).ports, [
        { name: "admin", containerPort: 9090, protocol: "TCP" },
        { name: "dns", containerPort: 5353, protocol: "UDP" },
        { name: "http", containerPort: 8080, protocol: "TCP" },
      ]);
      assert.deepEqual(find(outcome, "Service").spec.ports, [
        { name: "http", port: 80, targetPort: 8080, protocol: "TCP" },
        { name: "admin", port: 9090, targetPort: "admin", protocol: "TCP" },
      ]);
    });

    test("probes ask the admin port; without one, the native client", () => {
      const asked = container(render(helm, shop));
      assert.equal(asked.readinessProbe.httpGet.path, "/readyz");
      assert.equal(asked.livenessProbe.httpGet.path, "/livez");
      assert.equal(asked.startupProbe.httpGet.path, "/startupz");
      const quiet = render(helm, { ...shop, admin: { port: 0 } });
      const binary = "/opt/pingora-entry/pingora-entry";
      assert.deepEqual(container(quiet).readinessProbe.exec.command, [binary, "healthcheck", "--ready"]);
      assert.equal(parse(find(quiet, "ConfigMap").data["config.yaml"]).admin.tcp, "off");
    });

    test("preStop waits for the lame duck, and not much longer", () => {
      const { command } = container(render(helm, { ...shop, shutdown: { lameDuckSeconds: 8 } })).lifecycle.preStop.exec;
      assert.deepEqual(command, ["/opt/pingora-entry/pingora-entry", "prestop", "--timeout", "10"]);
    });

    test("every container is what the Pod Security Standard restricted asks for", () => {
      const { objects } = render(helm, shop);
      const pods = objects.flatMap(({ kind, spec }) =>
        kind === "Pod" ? [spec] : kind === "Deployment" ? [spec.template.spec] : [],
      );
      assert.equal(pods.length, 2);
      for (const { securityContext, containers } of pods) {
        assert.equal(securityContext.runAsNonRoot, true);
        assert.equal(securityContext.seccompProfile.type, "RuntimeDefault");
        for (const { securityContext: own } of containers) {
          assert.deepEqual(own, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          });
        }
      }
    });

    test("a change of the configuration changes the pods, a change of the replicas does not", () => {
      const template = (values: object) => JSON.stringify(find(render(helm, values), "Deployment").spec.template);
      assert.notEqual(template(shop), template({ ...shop, config: { log: { level: "debug" } } }));
      assert.equal(template(shop), template({ ...shop, replicaCount: 3 }));
    });

    test("selector labels are those of the pods and of the Service, whatever the names", () => {
      const long = "x".repeat(80);
      for (const values of [shop, { ...shop, fullnameOverride: long }, { ...shop, nameOverride: "other" }]) {
        const outcome = render(helm, values);
        const { selector, template } = find(outcome, "Deployment").spec;
        assert.deepEqual(find(outcome, "Service").spec.selector, selector.matchLabels);
        for (const [name, value] of Object.entries(selector.matchLabels))
          assert.equal(template.metadata.labels[name], value);
        for (const { metadata } of outcome.objects) assert.ok(metadata.name.length <= 63, metadata.name);
      }
    });

    test("every address that a start takes is taken", () => {
      const addresses = [8081, "8081", ":8081", "*:8081", "localhost:8081", "[::1]:8081", "0.0.0.0:0"];
      const expanded = ["WEB", "PORT"].map((name) => `\${${name}}`).join(":");
      const listeners = Object.fromEntries([...addresses, expanded].map((tcp, n) => [`l${n}`, { tcp }]));
      const outcome = render(helm, { listeners, services: { web: { command: ["web"] } }, service: { enabled: false } });
      assert.ok(outcome.ok, outcome.stderr);
    });

    const refused: readonly [string, object, RegExp][] = [
      [
        "a stop that does not fit",
        { ...shop, terminationGracePeriodSeconds: 20 },
        /the stop needs 26 s \(lame duck 5 \+ web 15 \+ cache 5 \+ reserve 1\) but the pod grants 20 s/,
      ],
      [
        "an unknown dependency",
        { ...shop, services: { web: { command: ["web"], dependsOn: ["chache"] }, cache: { command: ["cache"] } } },
        /services\.web\.dependsOn: unknown service "chache", there are: cache, web/,
      ],
      [
        "a circle",
        {
          ...shop,
          services: { a: { command: ["a"], dependsOn: ["b"] }, b: { command: ["b"], dependsOn: { a: "ready" } } },
        },
        /cannot order a, b: their dependsOn makes a circle/,
      ],
      [
        "a Service that leads nowhere",
        { ...shop, service: { listener: "web" } },
        /there is no listener "web" .*dns, http, local/,
      ],
      [
        "an address with words behind it",
        { ...shop, listeners: { ...shop.listeners, http: { tcp: "0.0.0.0:80 80" } } },
        /listeners\.http\.tcp: "0\.0\.0\.0:80 80" is no address to listen on: needs "host:port", ":port" or a port/,
      ],
      [
        "an IPv6 address without brackets",
        { ...shop, listeners: { ...shop.listeners, http: { tcp: "::1:80" } } },
        /listeners\.http\.tcp: "::1:80" is no address to listen on/,
      ],
      ...[70_000, "[::]:70000"].map((udp): [string, object, RegExp] => [
        `a port of seventeen bits, ${udp},`,
        { ...shop, listeners: { ...shop.listeners, dns: { udp } } },
        /listeners\.dns\.udp: port 70000 is too large, the most is 65535/,
      ]),
      ["a key that the configuration does not know", { ...shop, services: { web: { comand: ["web"] } } }, /comand/],
      ["a value that the chart does not know", { ...shop, replicas: 2 }, /replicas/],
      ["a second place for the grace", { ...shop, shutdown: { gracePeriodSeconds: 9 } }, /gracePeriodSeconds/],
    ];
    for (const [what, values, message] of refused) {
      test(`${what} is refused with words`, () => {
        const outcome = render(helm, values);
        assert.ok(!outcome.ok);
        assert.match(outcome.stderr, message);
      });
    }

    test("kubeVersion admits what is current and refuses what is too old", () => {
      assert.ok(render(helm, {}, ["--kube-version", "1.34.0"]).ok);
      assert.ok(!render(helm, {}, ["--kube-version", "1.20.0"]).ok);
    });
  });
}
