import type { ListenerAddress, ListenerSpec, Plan, ServiceSpec } from "../core/plan.js";
import type { Snapshot } from "../core/snapshot.js";
import type { Body } from "./body.js";
import type { OpenEndpoints } from "./endpoints.js";
import type { ExitRouter } from "./exit-router.js";
import type { PingoraParts } from "./pingora-way.js";
import type { BoundListener, Clock, Connections, Control, Init, Log, Prober, Sockets } from "./ports.js";
import type { StopFacts } from "./service-set.js";
import type { UpgradeParts } from "./upgrade-parts.js";

/** Everything a server needs of the world; the library puts it together. */
export interface ServerParts {
  readonly plan: Plan;
  readonly version: string;
  readonly release: string;
  readonly generation: number;
  /** a second SIGTERM is then a repetition by the kubelet, not an impatient person */
  readonly inPod: boolean;
  readonly init: Init;
  readonly sockets: Sockets;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly random: () => number;
  readonly body: (
    service: ServiceSpec,
    listeners: ReadonlyMap<string, BoundListener>,
    handsOver?: () => boolean,
  ) => Body;
  /** shared with whoever else starts processes: probes */
  readonly exits: ExitRouter;
  /** sockets the admin endpoints are served on, bound with the others */
  readonly adminListeners: readonly ListenerSpec[];
  /** loads and opens the endpoints; called when the first services have been started */
  readonly openAdmin: (listeners: ReadonlyMap<string, BoundListener>, control: Control) => Promise<OpenEndpoints>;
  /** loads what openAdmin needs, so that it opens at once; rejects as that would when it is not there */
  readonly prepareAdmin: () => Promise<void>;
  /** undefined: this server takes part in no upgrade; `noUpgrades` says why */
  readonly upgrade?: UpgradeParts;
  readonly noUpgrades: string;
  /** undefined: upgrade_sock is not set */
  readonly pingora?: PingoraParts;
  /** addresses at which a listener may be found, as the kernel writes them */
  readonly addressesOf: (address: ListenerAddress) => readonly string[];
  /** the one path of a unix socket, however it is written; as it is written where there is none */
  readonly realPathOf: (path: string) => string;
  /** for what an earlier supervisor held and nobody wants any more */
  readonly closeFd: (fd: number) => void;
  /** told how each process ended */
  readonly stopped: (facts: StopFacts) => void;
  /** a first version of the last words, on record before time is over, should it become short */
  readonly lastWords: (snapshot: Snapshot) => void;
  /** the very last words, before the exit code is given to the init */
  readonly farewell: (snapshot: Snapshot, log: Log) => Promise<void>;
}
