/** How long each step of a handover may take, in milliseconds. Both sides may differ: each watches its own. */
export interface HandoverTimes {
  /** connection to HELLO */
  readonly helloMs: number;
  /** HELLO to LEASE (OLD), LEASE to GRANTED or BUSY (NEW) */
  readonly leaseMs: number;
  /** GRANTED to the last BATCH */
  readonly offerMs: number;
  /** the last BATCH to CLAIM */
  readonly claimMs: number;
  /** CLAIM to the last STATE */
  readonly stateMs: number;
  /** the last STATE to READY */
  readonly bootMs: number;
  /** READY to COMMIT: services of strategy restart are stopped meanwhile */
  readonly handoffMs: number;
  /** COMMIT to OWNED */
  readonly commitMs: number;
  /** between two heartbeats of one side */
  readonly heartbeatMs: number;
  /** without any frame for so long the other side counts as gone */
  readonly silenceMs: number;
  /** OWNED to FINALIZE, at most: OLD finalizes when its probation is over */
  readonly probationMs: number;
  /** between two looks at a journal or a lock that somebody else holds */
  readonly retryMs: number;
  /** for a decision in the journal, or for the lock of an owner that is gone */
  readonly decideMs: number;
  /** FINALIZE to DRAINED, at most */
  readonly drainMs: number;
}

export const defaultHandoverTimes: HandoverTimes = {
  helloMs: 2_000,
  leaseMs: 1_000,
  offerMs: 5_000,
  claimMs: 5_000,
  stateMs: 10_000,
  bootMs: 60_000,
  handoffMs: 60_000,
  commitMs: 1_000,
  heartbeatMs: 1_000,
  silenceMs: 5_000,
  probationMs: 60_000,
  retryMs: 20,
  decideMs: 2_000,
  drainMs: 3_600_000,
};
