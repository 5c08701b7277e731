/** Our end of a connection, as who looks for the other end knows it. */
export type ClientEnd =
  | {
      readonly kind: "tcp";
      readonly localAddress: string;
      readonly localPort: number;
      readonly remoteAddress: string;
      readonly remotePort: number;
    }
  | { readonly kind: "unix"; readonly inode: number };

/**
 * Who has accepted a connection of ours: `queued`: nobody yet; `mine`: one of the processes that are asked about, or one below them; `other`:
 * somebody else; `closed`: somebody, who has closed it again, so that nobody can tell who; `untold`: what goes on at the other end cannot be
 * seen here.
 */
export type Acceptance = "queued" | "mine" | "other" | "closed" | "untold";

/** Of each connection, for these processes. */
export type Acceptors = (ends: readonly ClientEnd[], pids: readonly number[]) => readonly Acceptance[];
