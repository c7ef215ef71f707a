import { setTimeout as sleep } from 'node:timers/promises';
import { contentHash } from '../../core/config/content-hash.ts';
import { documentOf } from './configuration.ts';
import type { Ledger } from './ledger.ts';
import type { Server } from './server.ts';
import type { Store } from './store.ts';

export interface ReloadsOptions {
  readonly server: Server;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly drain: boolean;
  /** From one to the next, at least. */
  readonly paceMs: number;
}

/** Hector ends the oldest when more than eight drain at once. It is not what is tested here, so it is not brought about. */
const mostDraining = 6;
const reloadMs = 30_000;

/** Writes one revision after the other, each when the one before is said to serve. */
export class Reloads {
  /** From written to said to serve, in milliseconds. */
  readonly latencies: number[] = [];
  readonly #options: ReloadsOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #notBefore = 0;

  constructor(options: ReloadsOptions) {
    this.#options = options;
  }

  /** Throws when the server does not come to serve it. */
  next(): Promise<void> {
    return this.between(() => this.#reload());
  }

  /** Runs while no revision is written. */
  between<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #reload(): Promise<void> {
    const { server, store, ledger, drain, paceMs } = this.#options;
    await sleep(Math.max(0, this.#notBefore - performance.now()));
    this.#notBefore = performance.now() + paceMs;
    await this.#room();
    const stamp = ledger.written + 1;
    ledger.written = stamp;
    const started = performance.now();
    const text = await store.write(documentOf(stamp, drain), server.hector.folder);
    const hash = contentHash({ text });
    for (;;) {
      const { serving, error, state } = await server.status();
      if (serving?.content_hash === hash) break;
      if (error?.content_hash === hash) throw new Error(`revision ${stamp} was refused: ${error.message}`);
      if (performance.now() - started > reloadMs)
        throw new Error(`revision ${stamp} does not serve after ${reloadMs / 1_000} s; the state is ${state}`);
      await sleep(10);
    }
    ledger.confirmed = stamp;
    this.latencies.push(performance.now() - started);
  }

  async #room(): Promise<void> {
    const deadline = performance.now() + 2 * reloadMs;
    for (;;) {
      const { draining } = await this.#options.server.status();
      if (draining.length <= mostDraining) return;
      if (performance.now() > deadline)
        throw new Error(`generations do not drain: ${JSON.stringify(draining.slice(0, 10))}`);
      await sleep(20);
    }
  }
}
