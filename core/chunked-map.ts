/**
 * A map that never changes, of which another can be made that differs in a few values: that costs what differs, and about
 * the square root of the rest. The two share all that is the same.
 */
export class ChunkedMap<V> implements ReadonlyMap<string, V> {
  readonly #places: ReadonlyMap<string, number>;
  readonly #chunks: readonly (readonly V[])[];
  readonly #chunkSize: number;

  private constructor(places: ReadonlyMap<string, number>, chunks: readonly (readonly V[])[]) {
    this.#places = places;
    this.#chunks = chunks;
    this.#chunkSize = chunkSizeFor(places.size);
  }

  static of<V>(values: ReadonlyMap<string, V>): ChunkedMap<V> {
    const places = new Map<string, number>();
    for (const name of values.keys()) places.set(name, places.size);
    const all = [...values.values()];
    const size = chunkSizeFor(all.length);
    const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
      all.slice(at * size, (at + 1) * size),
    );
    return new ChunkedMap(places, chunks);
  }

  /** The same with other values of some of its names. */
  with(values: Iterable<readonly [string, V]>): ChunkedMap<V> {
    const chunks = [...this.#chunks];
    const copied = new Map<number, V[]>();
    for (const [name, value] of values) {
      const place = this.#places.get(name);
      if (place === undefined) throw new Error(`there is no "${name}" to be replaced`);
      const at = this.#chunkAt(place);
      const copy = copied.get(at) ?? [...(chunks[at] as readonly V[])];
      copy[place % this.#chunkSize] = value;
      copied.set(at, copy);
      chunks[at] = copy;
    }
    return new ChunkedMap(this.#places, chunks);
  }

  /** Of each value another, under the same names. */
  mapped<W>(make: (value: V) => W): ChunkedMap<W> {
    return new ChunkedMap(
      this.#places,
      this.#chunks.map((chunk) => chunk.map(make)),
    );
  }

  /** Lists of values that follow each other; those of which nothing differs are the same lists in both maps. */
  get chunks(): readonly (readonly V[])[] {
    return this.#chunks;
  }

  /** Which of the lists holds the value of a name that there is. */
  chunkOf(name: string): number {
    return this.#chunkAt(this.#places.get(name) ?? Number.NaN);
  }

  get size(): number {
    return this.#places.size;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  get(name: string): V | undefined {
    const place = this.#places.get(name);
    return place === undefined ? undefined : this.#chunks[this.#chunkAt(place)]?.[place % this.#chunkSize];
  }

  keys(): MapIterator<string> {
    return this.#places.keys();
  }

  *values(): MapIterator<V> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  *entries(): MapIterator<[string, V]> {
    const values = this.values();
    for (const name of this.#places.keys()) yield [name, values.next().value as V];
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  #chunkAt(place: number): number {
    return Math.floor(place / this.#chunkSize);
  }

  forEach(visit: (value: V, name: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [name, value] of this) visit(value, name, this);
  }
}

/** About as many values in a list as there are lists: then a change copies the least. */
function chunkSizeFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(count, 1)) / 2);
}
