/** What was opened, and how it is closed; without `close` there is nothing to do. */
export interface Opened<T> {
  readonly value: T;
  close?(): Promise<void>;
}

/**
 * A value that is shared by its key and counted by use. Every use that is counted is released once.
 *
 * It holds what it uses, so whoever holds an agent need not hold its model, and nothing is closed before what uses it.
 */
export class Pooled<T> {
  /** States everything that the value was made from: equal keys mean that it is the same. */
  readonly key: string;
  readonly #opening: Promise<Opened<T>>;
  readonly #uses: readonly Pooled<unknown>[];
  readonly #onEnd: () => void;
  #opened: Opened<T> | undefined;
  #references = 0;

  /** `onEnd`: it will never be open again. */
  constructor(key: string, opening: Promise<Opened<T>>, uses: readonly Pooled<unknown>[], onEnd: () => void) {
    this.key = key;
    this.#opening = opening;
    this.#uses = uses;
    this.#onEnd = onEnd;
    for (const used of uses) used.retain();
  }

  get value(): T {
    if (!this.#opened) throw new Error(`${this.key} is not open`);
    return this.#opened.value;
  }

  /** One use more, once it is open. */
  async take(): Promise<this> {
    this.#references++;
    try {
      this.#opened = await this.#opening;
      return this;
    } catch (error) {
      this.#onEnd();
      await this.release();
      throw error;
    }
  }

  /** One use more of what is open; `false`, and nothing is counted, after the last has let go. */
  retain(): boolean {
    if (this.#references === 0) return false;
    this.#references++;
    return true;
  }

  /** One use less. The last closes the value and then lets go of what it uses; `undefined`: nothing to wait for. */
  release(): Promise<void> | undefined {
    if (!this.#drop()) return undefined;
    const closings: Promise<void>[] = [];
    // Not by recursion: a thousand agents may use each other in a row.
    const ended: Pooled<unknown>[] = [this];
    for (let next = ended.pop(); next; next = ended.pop()) {
      const uses = next.#uses;
      const closing = next.#opened?.close?.();
      if (closing) closings.push(closing.finally(() => Promise.all(uses.map((used) => used.release()))));
      else ended.push(...uses.filter((used) => used.#drop()));
    }
    return closings.length === 0 ? undefined : Promise.all(closings).then(() => undefined);
  }

  /** Whether that was the last use. */
  #drop(): boolean {
    if (this.#references === 0) throw new Error(`${this.key} was let go of more often than it was taken`);
    if (--this.#references > 0) return false;
    this.#onEnd();
    return true;
  }
}
