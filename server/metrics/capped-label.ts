/** What a label says once it has said as many things as it may. No agent, tool or model can be called so. */
export const others = '(others)';

/** The values of one label: no more than so many, whatever happens. */
export class CappedLabel {
  readonly #max: number;
  readonly #known = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  value(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#max) return others;
    this.#known.add(value);
    return value;
  }

  /** There is room for another. */
  forget(value: string): void {
    this.#known.delete(value);
  }
}

/** What agents use: no more than so many pairs, as each has a series. */
export class CappedUses {
  readonly #max: number;
  readonly #known = new Map<string, Set<string>>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  value(agent: string, used: string): string {
    const known = this.#known.get(agent);
    if (known?.has(used)) return used;
    if (this.#size >= this.#max) return others;
    this.#size++;
    if (known) known.add(used);
    else this.#known.set(agent, new Set([used]));
    return used;
  }

  forget(agent: string): void {
    this.#size -= this.#known.get(agent)?.size ?? 0;
    this.#known.delete(agent);
  }
}
