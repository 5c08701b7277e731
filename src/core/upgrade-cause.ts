/** Every word that can be the cause of an upgrade's end, for who counts them: the reason beside it is for people. */
export const upgradeCauses = [
  /** completed */
  "none",
  /** nothing was tried: another one was in the way */
  "busy",
  /** the new configuration, or its program, was refused */
  "check",
  /** the new generation did not come so far that it asked for the sockets */
  "start",
  /** the sockets cannot go over: too many, or of a kind that the other side does not take */
  "sockets",
  /** a listener that is only in the new one could not be bound */
  "listener",
  /** a service of the new generation failed */
  "service",
  /** it was not ready in time, or did not stay so */
  "unready",
  /** a side died, or fell silent */
  "lost",
  /** the two did not understand each other */
  "protocol",
  /** the journal could not be written, or names somebody else */
  "journal",
  /** a side was told to stop */
  "stopped",
  "other",
] as const;

export type UpgradeCause = (typeof upgradeCauses)[number];

/** Why something of an upgrade ended. */
export interface UpgradeEnd {
  readonly reason: string;
  readonly cause: UpgradeCause;
}

/** The word that another release, or an earlier supervisor, has written; one that says none, or an unknown one, is `other`. */
export function readCause(word: unknown): UpgradeCause {
  return upgradeCauses.find((cause) => cause === word) ?? "other";
}
