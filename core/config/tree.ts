import type { ConfigPath } from './issue.ts';
import { type ConfigText, type Place, placeIn } from './text.ts';

export type ConfigValue = string | number | boolean | null | ConfigValue[] | ConfigMap;
export interface ConfigMap {
  [key: string]: ConfigValue;
}
export type Container = ConfigMap | ConfigValue[];

/** Where a value came from. */
export interface Origin {
  /** The text that it is written in, and where: its key, or the value itself where it is an item of a list. */
  readonly text?: ConfigText;
  readonly offset?: number;
  /** How a number or a boolean is written: `0x1F`, `1.0`. */
  readonly source?: string;
  /** The text with `${…}` that the value was made from; what may be printed instead of it. */
  readonly reference?: string;
  /** Its references could not be resolved, which has been reported: nothing else about it is worth a word. */
  readonly unresolved?: boolean;
  /** The flag that set it, or the environment variable that stands for one. */
  readonly flag?: string;
  /** Nobody wrote it: it follows from the rest of the document. */
  readonly implied?: boolean;
  /** Never printed. */
  readonly secret?: boolean;
}

export type Origins = WeakMap<Container, Map<string | number, Origin>>;

export function isMap(value: unknown): value is ConfigMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property: `toString` is a name like any other. */
export function get(container: unknown, key: string | number): ConfigValue | undefined {
  if (Array.isArray(container)) return container[key as number] as ConfigValue | undefined;
  return isMap(container) && Object.hasOwn(container, key) ? container[key] : undefined;
}

/** The value at a path, if there is one. */
export function valueAt(root: ConfigValue, path: ConfigPath): ConfigValue | undefined {
  let value: ConfigValue | undefined = root;
  for (const step of path) value = get(value, step);
  return value;
}

/** A value of its own, with what is known of where it is written. */
export function copyOf<T extends ConfigValue>(value: T, from: Origins, to: Origins): T {
  if (typeof value !== 'object' || value === null) return value;
  const copy: Container = Array.isArray(value)
    ? value.map((each) => copyOf(each, from, to))
    : Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each, from, to)] as const));
  const origins = from.get(value);
  if (origins) to.set(copy, new Map(origins));
  return copy as T;
}

export interface DefinedNames {
  has(section: string, name: string): boolean;
  /** Only agents can be. */
  isDisabled(section: string, name: string): boolean;
  of(section: string): Iterable<string>;
}

/** Those of the sections of a configuration. */
export const namesIn = (root: ConfigMap): DefinedNames => ({
  has: (section, name) => get(root[section], name) !== undefined,
  isDisabled: (section, name) => get(get(root[section], name), 'enabled') === false,
  of: (section) => (isMap(root[section]) ? Object.keys(root[section]) : []),
});

/**
 * The document as plain values, and where each of them came from. Origins belong to a container and a key, so a section
 * that is moved takes those of everything below along.
 */
export class ConfigTree {
  readonly root: ConfigMap;
  /** Names that the configuration defines, of which this may be a part only. */
  readonly names: DefinedNames;
  readonly #origins: Origins;
  readonly #moves: { readonly from: ConfigPath; readonly to: ConfigPath }[] = [];

  constructor(root: ConfigMap, origins: Origins, names: DefinedNames = namesIn(root)) {
    this.root = root;
    this.names = names;
    this.#origins = origins;
  }

  /** The same once more, to be changed apart from this one. Nothing has been moved yet. */
  copy(): ConfigTree {
    const origins: Origins = new WeakMap();
    return new ConfigTree(copyOf(this.root, this.#origins, origins), origins);
  }

  origin(container: Container, key: string | number): Origin | undefined {
    return this.#origins.get(container)?.get(key);
  }

  /** The origin of the value at a path. */
  originAt(path: ConfigPath): Origin | undefined {
    const key = path.at(-1);
    const container = valueAt(this.root, path.slice(0, -1));
    return key === undefined || typeof container !== 'object' || container === null
      ? undefined
      : this.origin(container, key);
  }

  /** Adds to what is known of a value. */
  mark(container: Container, key: string | number, origin: Origin): void {
    let origins = this.#origins.get(container);
    if (!origins) {
      origins = new Map();
      this.#origins.set(container, origins);
    }
    origins.set(key, { ...origins.get(key), ...origin });
  }

  /** Puts a value in place; what was known of the one before is forgotten. All of a new section has the one origin. */
  set(container: Container, key: string | number, value: ConfigValue, origin: Origin): void {
    this.#put(container, key, value, origin);
    if (typeof value !== 'object' || value === null || this.#origins.has(value)) return;
    for (const [step, inner] of Array.isArray(value) ? value.entries() : Object.entries(value))
      this.set(value, step, inner, origin);
  }

  #put(container: Container, key: string | number, value: ConfigValue, origin: Origin): void {
    (container as Record<string | number, ConfigValue>)[key] = value;
    this.#origins.get(container)?.delete(key);
    this.mark(container, key, origin);
  }

  /** The value goes on to say that it stands where it was written. */
  move(from: ConfigPath, to: ConfigPath): void {
    const source = valueAt(this.root, from.slice(0, -1)) as ConfigMap;
    const target = valueAt(this.root, to.slice(0, -1)) as Container;
    const key = from.at(-1) as string;
    this.#put(target, to.at(-1) as string | number, source[key] as ConfigValue, this.origin(source, key) ?? {});
    delete source[key];
    this.#moves.push({ from, to });
  }

  /** The path by which the document calls what is at `path`. */
  written(path: ConfigPath): ConfigPath {
    for (const { from, to } of this.#moves) {
      if (to.length <= path.length && to.every((step, index) => step === path[index]))
        return [...from, ...path.slice(to.length)];
    }
    return path;
  }

  /** Where that which the document calls `path` is. */
  moved(path: ConfigPath): ConfigPath {
    let moved = path;
    for (const { from, to } of this.#moves) {
      if (from.length <= moved.length && from.every((step, index) => step === moved[index]))
        moved = [...to, ...moved.slice(from.length)];
    }
    return moved;
  }

  /** The text in which what is at `path`, or the nearest thing around it, is written. */
  writtenIn(path: ConfigPath): ConfigText | undefined {
    const nearest = this.#nearest(path);
    return nearest?.flag === undefined ? nearest?.text : undefined;
  }

  /** The place of what is at `path`, or of the nearest thing around it that has one. */
  locate(path: ConfigPath): Place {
    const nearest = this.#nearest(path);
    if (nearest?.flag !== undefined) return { origin: nearest.flag };
    return nearest?.text === undefined || nearest.offset === undefined ? {} : placeIn(nearest.text, nearest.offset);
  }

  #nearest(path: ConfigPath): Origin | undefined {
    let container: ConfigValue | undefined = this.root;
    let nearest: Origin | undefined;
    for (const step of path) {
      if (typeof container !== 'object' || container === null) break;
      const origin = this.origin(container, step);
      if (origin?.flag !== undefined || origin?.offset !== undefined) nearest = origin;
      container = get(container, step);
    }
    return nearest;
  }
}
