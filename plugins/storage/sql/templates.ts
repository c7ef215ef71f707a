import type { CompiledQuery } from 'kysely';

/** Where a value goes. */
class Place {
  readonly group: string;
  readonly key: string;

  constructor(group: string, key: string) {
    this.group = group;
    this.key = key;
  }
}

/** By what they are of: a row, a conversation. */
type Values = Readonly<Record<string, object>>;

/**
 * Statements whose text is made once: that takes the builder as long as a small database takes to run them.
 *
 * `make` is given places instead of values, so whatever else the text depends on has to be in `shape`.
 */
export class Templates {
  readonly #made = new Map<string, readonly CompiledQuery[]>();

  fill<V extends Values, const Q extends readonly CompiledQuery[]>(
    shape: string,
    values: V,
    make: (places: V) => Q,
  ): Q {
    let made = this.#made.get(shape);
    if (!made) {
      made = make(placesOf(values));
      this.#made.set(shape, made);
    }
    const filled = (parameter: unknown) =>
      parameter instanceof Place ? Reflect.get(values[parameter.group] ?? {}, parameter.key) : parameter;
    return made.map((query) => ({
      ...query,
      parameters: query.parameters.map(filled),
    })) as readonly CompiledQuery[] as Q;
  }
}

const placesOf = <V extends Values>(values: V): V =>
  Object.fromEntries(
    Object.entries(values).map(([group, each]) => [
      group,
      Object.fromEntries(Object.keys(each).map((key) => [key, new Place(group, key)])),
    ]),
  ) as V;
