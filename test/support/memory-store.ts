import type { Announcement } from '../../core/index.ts';
import type { Operation, Store, StoredValue, StoreState } from '../../providers/store.ts';

type Limits = Store['limits'];

/** A key-value store in memory, with transactions and versions as real ones have, that fails when it is told to. */
export class MemoryStore implements Store {
  readonly limits: Limits;
  /** Every transaction that was asked for, also those that failed. */
  readonly transactions: (readonly Operation[])[] = [];
  disposed = false;
  readonly #values = new Map<string, StoredValue>();
  readonly #followers = new Set<{ wake(): void; fail(error: Error): void }>();
  #version = 0n;
  #writesLeft = Number.POSITIVE_INFINITY;
  #refusal: Error | undefined;
  #hanging = false;
  #interlude: { after: number; readonly run: () => void | Promise<void> } | undefined;

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { operations: 128, bytes: 1024 ** 2, valueBytes: 1024 ** 2, ...limits };
  }

  // What a test does to it.

  /** As another client would. */
  set(key: string, text: string | undefined): void {
    if (text === undefined) this.#values.delete(key);
    else this.#put(key, text);
    this.#changed();
  }

  text(key: string): string | undefined {
    return this.#values.get(key)?.text;
  }

  get following(): number {
    return this.#followers.size;
  }

  /** Says the same again to who follows. */
  beat(): void {
    this.#changed();
  }

  /** Takes so many more writes, and refuses those after them. */
  failAfter(writes: number, error: Error = new Error('The store is gone')): void {
    this.#writesLeft = writes;
    this.#refusal = error;
  }

  recover(): void {
    this.#writesLeft = Number.POSITIVE_INFINITY;
    this.#hanging = false;
  }

  /** Answers no write any more, until the signal of who waits for it aborts. */
  hang(): void {
    this.#hanging = true;
  }

  /** Ends what follows it, as a connection that is lost does. */
  disconnect(error: Error = new Error('The connection was lost')): void {
    for (const follower of this.#followers) follower.fail(error);
  }

  /** Runs once, after so many more transactions and before the next, which waits for it. */
  interrupt(run: () => void | Promise<void>, after = 0): void {
    this.#interlude = { run, after };
  }

  // What a provider does with it.

  async read(key: string, signal: AbortSignal): Promise<StoreState> {
    signal.throwIfAborted();
    await turn();
    return this.#state(key);
  }

  async *follow(key: string, signal: AbortSignal): AsyncGenerator<StoreState> {
    let wake = () => {};
    let dirty = true;
    let failure: Error | undefined;
    const follower = {
      wake: () => {
        dirty = true;
        wake();
      },
      fail: (error: Error) => {
        failure = error;
        wake();
      },
    };
    const abort = () => wake();
    this.#followers.add(follower);
    signal.addEventListener('abort', abort);
    try {
      while (!signal.aborted) {
        if (failure) throw failure;
        if (dirty) {
          dirty = false;
          yield this.#state(key);
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#followers.delete(follower);
      signal.removeEventListener('abort', abort);
    }
  }

  async transact(
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string> | undefined> {
    this.transactions.push(operations);
    await this.#accepted(signal);
    const interlude = this.#interlude;
    if (interlude && interlude.after-- === 0) {
      this.#interlude = undefined;
      await interlude.run();
    }
    this.#checkLimits(operations);
    if (operations.some(({ key, version }) => this.#values.get(key)?.version !== version)) return undefined;
    const versions = new Map<string, string>();
    for (const operation of operations) {
      if (operation.type === 'remove') this.#values.delete(operation.key);
      else versions.set(operation.key, this.#put(operation.key, operation.text));
    }
    this.#changed();
    return versions;
  }

  async keys(prefix: string, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix));
  }

  async get(key: string, signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    return this.text(key);
  }

  async put(key: string, text: string, signal: AbortSignal): Promise<void> {
    await this.#accepted(signal);
    this.set(key, text);
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    await this.#accepted(signal);
    for (const each of this.#values.keys()) if (each === key || each.startsWith(`${key}/`)) this.#values.delete(each);
    this.#changed();
  }

  announce(key: string, text: string): Announcement {
    this.set(key, text);
    return {
      update: (next) => this.set(key, next),
      [Symbol.asyncDispose]: async () => this.set(key, undefined),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }

  #put(key: string, text: string): string {
    this.#version++;
    const version = String(this.#version);
    this.#values.set(key, { text, version });
    return version;
  }

  #state(key: string): StoreState {
    const state = new Map<string, StoredValue>();
    for (const [each, value] of this.#values)
      if (key.endsWith('/') ? each.startsWith(key) : each === key) state.set(each.slice(key.length), value);
    return state;
  }

  #changed(): void {
    for (const follower of this.#followers) follower.wake();
  }

  async #accepted(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await turn();
    if (this.#hanging)
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    if (this.#writesLeft <= 0) throw this.#refusal;
    this.#writesLeft--;
  }

  /** As a real one refuses them: these are limits, not advice. */
  #checkLimits(operations: readonly Operation[]): void {
    const { operations: most, bytes, valueBytes } = this.limits;
    const texts = operations.map((operation) => (operation.type === 'put' ? Buffer.byteLength(operation.text) : 0));
    const keys = operations.map(({ key }) => Buffer.byteLength(key));
    const total = [...texts, ...keys].reduce((sum, size) => sum + size, 0);
    if (operations.length > most) throw new Error(`${operations.length} operations are more than ${most}`);
    if (total > bytes) throw new Error(`A transaction of ${total} bytes is larger than ${bytes}`);
    if (Math.max(...texts) > valueBytes) throw new Error(`A value is larger than ${valueBytes} bytes`);
  }
}

/** Nothing is answered in the same turn: writers that run at the same time meet here. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
