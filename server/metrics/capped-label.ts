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
