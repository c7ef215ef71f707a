import type { ConfigIssue } from './issue.ts';

/** A configuration that could not be served, and why. */
export interface RejectedConfig {
  readonly revision: string;
  /** See `contentHash`. */
  readonly content_hash: string;
  /** `config` when the document is wrong, `build` when what it asks for could not be made, else the error's own code. */
  readonly code: string;
  /** Without secrets. */
  readonly message: string;
  readonly issues: readonly ConfigIssue[];
  /** ISO 8601. */
  readonly at: string;
}

/** The configuration that serves. */
export interface ServedConfig {
  readonly revision: string;
  /** sha256 of the document as the source has it, hexadecimal: equal on every replica that runs it. */
  readonly content_hash: string;
  /** sha256 of the resolved configuration: also of what its references stood for. */
  readonly hash: string;
  readonly generation: number;
  /** ISO 8601. */
  readonly at: string;
  /** It came from the copy on disk, because the source could not be reached or had nothing good. */
  readonly last_good: boolean;
  /** Settings that differ from those the process was started with and take effect when it is started anew. */
  readonly restart_required: readonly string[];
}

/** Where this process stands with its configuration: `GET /api/config/status`, and what a replica tells the others. */
export interface ConfigStatus {
  /** Name of this replica. */
  readonly instance: string;
  readonly version: string;
  /** Of the provider: `file`, `consul`. */
  readonly provider: string;
  readonly source: string;
  /**
   * `starting`: nothing serves yet. `current`: what the source has, serves. `rejected`: the source has something that cannot be
   * served, so an earlier one does. `degraded`: the source cannot be reached; what was served last, goes on.
   */
  readonly state: 'starting' | 'current' | 'rejected' | 'degraded';
  /** Whether changes of the source are followed. */
  readonly watching: boolean;
  readonly connected: boolean;
  /** ISO 8601: when the source was reached last. */
  readonly last_contact?: string;
  /** Why it cannot be reached. */
  readonly connection_error?: string;
  readonly serving?: ServedConfig;
  /** Of the newest document, for as long as it is the newest. */
  readonly error?: RejectedConfig;
  /** Replaced configurations that still have work: oldest first. */
  readonly draining: readonly { readonly generation: number; readonly leases: number }[];
}

export function stateOf(
  serving: ServedConfig | undefined,
  refused: RejectedConfig | undefined,
  connectionError: string | undefined,
): ConfigStatus['state'] {
  if (!serving) return 'starting';
  if (refused) return 'rejected';
  return serving.last_good || connectionError !== undefined ? 'degraded' : 'current';
}

/** What became of one document, for the log and the metrics. */
export interface ReloadEvent {
  readonly result: 'success' | 'noop' | 'rejected' | 'load_error';
  /** From taking the document up to the end. */
  readonly durationSeconds: number;
  /** From the source's word of a change to the swap; of a `success` that a watch brought. */
  readonly watchToSwapSeconds?: number;
}
