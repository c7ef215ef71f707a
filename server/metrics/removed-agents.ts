/** Long enough that every scrape has seen the last of them. */
const defaultGraceMs = 15 * 60_000;

/** Agents that are gone for a while, and not back meanwhile. */
export class RemovedAgents implements Disposable {
  readonly #forget: (agents: ReadonlySet<string>) => void;
  readonly #graceMs: number;
  readonly #timers = new Set<NodeJS.Timeout>();
  #serving: ReadonlySet<string> = new Set();

  constructor(forget: (agents: ReadonlySet<string>) => void, graceMs = defaultGraceMs) {
    this.#forget = forget;
    this.#graceMs = graceMs;
  }

  /** These serve from now on, and no others. */
  served(agents: Iterable<string>): void {
    const now = new Set(agents);
    const gone = [...this.#serving].filter((agent) => !now.has(agent));
    this.#serving = now;
    if (gone.length === 0) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const still = gone.filter((agent) => !this.#serving.has(agent));
      if (still.length > 0) this.#forget(new Set(still));
    }, this.#graceMs);
    timer.unref();
    this.#timers.add(timer);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
