interface Lane {
  active: number;
  /** First come, first served. */
  readonly waiting: Set<() => void>;
}

export interface SlotsOptions {
  readonly total: number;
  /** Of those, for the work of one lane. */
  readonly perLane: number;
}

/** Bounds how much work goes on at once, and lets the lanes take turns, so that a slow one does not keep the others waiting. */
export class Slots {
  readonly #total: number;
  readonly #perLane: number;
  readonly #lanes = new Map<string, Lane>();
  #active = 0;

  constructor({ total, perLane }: SlotsOptions) {
    this.#total = total;
    this.#perLane = perLane;
  }

  /** Rejects with the signal's reason if that aborts before the work has begun. */
  async run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(name, signal);
    try {
      return await work();
    } finally {
      this.#leave(name);
    }
  }

  #enter(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const lane = this.#lane(name);
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        lane.waiting.delete(enter);
        this.#tidy(name, lane);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      lane.waiting.add(enter);
      this.#admit();
    });
  }

  #leave(name: string): void {
    const lane = this.#lane(name);
    lane.active--;
    this.#active--;
    this.#tidy(name, lane);
    this.#admit();
  }

  #admit(): void {
    for (const [name, lane] of this.#lanes) {
      if (this.#active >= this.#total) return;
      const [enter] = lane.waiting;
      if (!enter || lane.active >= this.#perLane) continue;
      lane.waiting.delete(enter);
      lane.active++;
      this.#active++;
      // To the end of the line, where this loop comes to it again.
      this.#lanes.delete(name);
      this.#lanes.set(name, lane);
      enter();
    }
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (!lane) {
      lane = { active: 0, waiting: new Set() };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #tidy(name: string, lane: Lane): void {
    if (lane.active === 0 && lane.waiting.size === 0) this.#lanes.delete(name);
  }
}
