/** Long enough that every scrape has seen the last of them. */
const defaultGraceMs = 15 * 60_000;

/** Agents that are gone for a while, and not back meanwhile. */
export class RemovedAgents implements Disposable {
  readonly #forget: (agents: ReadonlySet<string>) => void;
  readonly #graceMs: number;
  /** Who is to be forgotten, with the timer that will. */
  readonly #leaving = new Map<string, NodeJS.Timeout>();
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
    for (const agent of now) this.#leaving.delete(agent);
    if (gone.length > 0) this.#forgetLater(gone);
  }

  /** An agent that is gone may still have work, of which is counted again when it was forgotten. */
  worked(agent: string): void {
    if (!this.#serving.has(agent) && !this.#leaving.has(agent)) this.#forgetLater([agent]);
  }

  #forgetLater(agents: readonly string[]): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const still = agents.filter((agent) => this.#leaving.get(agent) === timer);
      for (const agent of still) this.#leaving.delete(agent);
      if (still.length > 0) this.#forget(new Set(still));
    }, this.#graceMs);
    timer.unref();
    this.#timers.add(timer);
    for (const agent of agents) this.#leaving.set(agent, timer);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
