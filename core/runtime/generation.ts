import type { AgentConfig } from '../config/language/agent.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import type { Secrets } from '../config/secrets.ts';
import { HectorError } from '../errors.ts';
import type { Agent } from '../extension/agent.ts';
import type { AuthScheme } from '../extension/auth-scheme.ts';
import type { CounterStore } from '../extension/counter-store.ts';
import type { StorageBackend } from '../extension/storage-backend.ts';
import type { Scope } from './scope.ts';

/** An agent as it is served: what it does, and what its configuration says of it. */
export interface ServedAgent {
  /** The key in `agents`: the name in URLs. */
  readonly name: string;
  readonly config: AgentConfig;
  readonly agent: Agent;
}

/** What is built from one snapshot. */
export interface GenerationContents {
  readonly config: HectorConfig;
  readonly hash: string;
  readonly source: string;
  readonly revision: string;
  readonly secrets: Secrets;
  readonly agents: ReadonlyMap<string, ServedAgent>;
  /** Asked in this order. Empty: everybody is anonymous. */
  readonly authSchemes: ReadonlyMap<string, AuthScheme>;
  readonly tasks: StorageBackend;
  readonly sessions: StorageBackend;
  /** Where rate_limiting counts, if it does so in a database. */
  readonly counters?: CounterStore | undefined;
}

/** A promise that the generation stays usable until `release` is called. A second release does nothing. */
export interface Lease extends Disposable {
  readonly generation: Generation;
  /** A second lease for work that outlives this one: a task outliving its request. */
  extend(holder: string): Lease;
  release(): void;
}

export interface RetireOptions {
  /** How long leases may stay out before their work is told to end. */
  readonly drainMs: number;
  /** How long work may take to end after it was told to; what is still running then is cut. */
  readonly abortMs: number;
  /** Ends the drain early; its reason is what the work is told, where it is a sentence of ours. */
  readonly hurry?: AbortSignal;
}

/**
 * Everything built from one snapshot, never changed afterwards.
 *
 * Whoever uses it holds a lease. Once retired, a generation waits for its last lease and then disposes what it holds.
 */
export class Generation {
  readonly id: number;
  readonly contents: GenerationContents;
  readonly #scope: Scope;
  readonly #abort = new AbortController();
  /** Who holds the leases that are out. */
  readonly #holders = new Map<symbol, string>();
  #onDrained: (() => void) | undefined;
  #retired = false;
  #disposed = false;

  constructor(id: number, contents: GenerationContents, scope: Scope) {
    this.id = id;
    this.contents = contents;
    this.#scope = scope;
  }

  /** Aborts when the drain deadline comes with work still running. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get leases(): number {
    return this.#holders.size;
  }

  /** Who holds the leases that are out: `POST /agents/writer`. */
  get holders(): Iterable<string> {
    return this.#holders.values();
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** A lease can be taken until the generation is disposed: a retired one still lends to what its leases start. */
  lease(holder: string): Lease {
    if (this.#disposed) {
      throw new HectorError('generation_disposed', `Generation ${this.id} is gone; ${holder} needs the current one.`);
    }
    const key = Symbol();
    this.#holders.set(key, holder);
    const release = () => {
      if (this.#holders.delete(key) && this.#holders.size === 0) this.#onDrained?.();
    };
    return { generation: this, extend: (other) => this.lease(other), release, [Symbol.dispose]: release };
  }

  /**
   * Drain, then dispose. The caller has already put a successor in its place. Resolves to the holders that were cut:
   * those that went on after they had been told to end.
   */
  async retire(options: RetireOptions): Promise<readonly string[]> {
    if (this.#retired) throw new Error(`Generation ${this.id} is retired already`);
    this.#retired = true;
    const { drainMs, hurry } = options;
    if (!(await this.#drained(drainMs, hurry))) {
      this.#abort.abort(
        hurry?.reason instanceof HectorError
          ? hurry.reason
          : new HectorError(
              'drain_deadline',
              'The configuration was replaced and the time to finish on the old one is over.',
            ),
      );
      await this.#drained(options.abortMs);
    }
    const cut = [...this.#holders.values()];
    this.#disposed = true;
    await this.#scope[Symbol.asyncDispose]();
    return cut;
  }

  /** Whether the last lease came back within the time. */
  #drained(withinMs: number, hurry?: AbortSignal): Promise<boolean> {
    if (this.#holders.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (drained: boolean) => {
        clearTimeout(timer);
        hurry?.removeEventListener('abort', giveUp);
        this.#onDrained = undefined;
        resolve(drained);
      };
      const giveUp = () => settle(false);
      // setTimeout takes 31 bits; a longer drain is as good as this one.
      const timer = setTimeout(giveUp, Math.min(withinMs, 2 ** 31 - 1));
      this.#onDrained = () => settle(true);
      if (hurry?.aborted) giveUp();
      else hurry?.addEventListener('abort', giveUp, { once: true });
    });
  }
}
