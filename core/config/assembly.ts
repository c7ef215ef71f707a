import type { ConfigDocument } from '../extension/config-provider.ts';
import { type ConfigIssue, type ConfigPath, formatPlace } from './issue.ts';
import type { Parsed } from './parse.ts';
import { type ConfigText, type Place, placeIn } from './text.ts';
import {
  type ConfigMap,
  ConfigTree,
  type ConfigValue,
  type Container,
  get,
  isMap,
  type Origin,
  type Origins,
} from './tree.ts';
import { maxDepth, refusedKeys, tooDeep } from './tree-reader.ts';

/** What a local file says when the configuration is somewhere else. */
const localSections: ReadonlySet<string> = new Set([
  'config',
  'version',
  'name',
  'description',
  'plugins',
  'secrets',
  'server',
  'logger',
]);

/** Puts what several texts say into one tree, and notes what is wrong with them as such. */
export class Assembly {
  readonly issues: ConfigIssue[] = [];
  /** Of everything that is added: where it is written. */
  readonly origins: Origins;
  readonly #root: ConfigMap = {};

  constructor() {
    this.origins = new WeakMap([[this.#root, new Map<string | number, Origin>()]]);
  }

  get root(): ConfigMap {
    return this.#root;
  }

  tree(): ConfigTree {
    return new ConfigTree(this.#root, this.origins);
  }

  /** Whether a text can be there at all. */
  admits(text: ConfigText, path: readonly string[]): boolean {
    const wrong = wrongPath(path);
    if (wrong) this.#issue([], 'limit', wrong, placeIn(text, 0));
    return wrong === undefined;
  }

  /** Puts what a text says where it belongs. */
  add(text: ConfigText, path: readonly string[], { value, origin, issues }: Parsed): void {
    this.issues.push(...issues);
    if (issues.length > 0) return;
    const [key] = path.slice(-1);
    if (key === undefined) {
      this.#merge(this.#root, value as ConfigMap, []);
      return;
    }
    const container = this.section(path, text);
    if (container) this.#put(container, key, value, origin, path);
  }

  /** The innermost of the sections that lead to an entry; they are made of its text where nothing else made them. */
  section(path: readonly string[], text: ConfigText): ConfigMap | undefined {
    let container = this.#root;
    for (const [index, step] of path.slice(0, -1).entries()) {
      let next = get(container, step) ?? null;
      if (next === null) {
        next = {};
        this.#set(container, step, next, { text, offset: 0 });
      }
      if (!isMap(next)) {
        this.#clash(path.slice(0, index + 1), this.#originOf(container, step), { text, offset: 0 });
        return undefined;
      }
      container = next;
    }
    return container;
  }

  #merge(into: ConfigMap, from: ConfigMap, path: ConfigPath): void {
    for (const [key, value] of Object.entries(from))
      this.#put(into, key, value, this.#originOf(from, key), [...path, key]);
  }

  /** What one entry says twice was found by its parser; what two entries say is found here. */
  #put(container: ConfigMap, key: string, value: ConfigValue, origin: Origin, path: ConfigPath): void {
    const other = get(container, key);
    if (other === undefined || other === null) this.#set(container, key, value, origin);
    else if (isMap(other) && isMap(value)) this.#merge(other, value, path);
    else if (value !== null) this.#clash(path, this.#originOf(container, key), origin);
  }

  #clash(path: ConfigPath, first: Origin, second: Origin): void {
    const place = first.text && { ...placeIn(first.text, first.offset ?? 0), source: first.text.source };
    const message = `is also given in ${place ? formatPlace('', place) : 'another entry'}; keep one of the two`;
    this.#issue(path, 'schema', message, second.text && placeIn(second.text, second.offset ?? 0));
  }

  /** Whatever the local file says wins: maps merge key by key, and everything else is replaced whole. */
  overlay(own: ConfigText, { value, issues }: Parsed, document: string): void {
    this.issues.push(...issues);
    if (issues.length > 0) return;
    const sections = value as ConfigMap;
    for (const [section, each] of Object.entries(sections)) {
      if (localSections.has(section)) continue;
      delete sections[section];
      if (each === null) continue;
      const { offset = 0 } = this.#originOf(sections, section);
      const message = `is not read: the configuration is at ${document}; put it there`;
      this.#issue([section], 'schema', message, placeIn(own, offset));
    }
    // Each text says its own version of the language; that of the local file was checked with its block.
    if ((get(this.#root, 'version') ?? null) !== null) delete sections['version'];
    this.#override(this.#root, sections);
  }

  #override(container: ConfigMap, from: ConfigMap): void {
    for (const [key, value] of Object.entries(from)) {
      const other = get(container, key);
      if (isMap(other) && isMap(value)) this.#override(other, value);
      // A section with nothing in it says nothing.
      else if (value !== null || !isMap(other)) this.#set(container, key, value, this.#originOf(from, key));
    }
  }

  /** A document that is somewhere else does not say where that is. */
  refuseConfig(local: ConfigDocument | undefined): void {
    if ((get(this.#root, 'config') ?? null) === null) return;
    const { text, offset = 0 } = this.#originOf(this.#root, 'config');
    const file = local ? `the local file ${local.source}` : 'a local file';
    const message = `says where the configuration is, so it belongs in ${file}, not in the configuration itself`;
    this.#issue(['config'], 'schema', message, text && placeIn(text, offset));
    delete this.#root['config'];
  }

  #issue(path: ConfigPath, rule: string, message: string, place: Place | undefined): void {
    this.issues.push({ path, message, rule, ...place });
  }

  #originOf(container: Container, key: string): Origin {
    return this.origins.get(container)?.get(key) ?? {};
  }

  #set(container: ConfigMap, key: string, value: ConfigValue, origin: Origin): void {
    container[key] = value;
    const origins = this.origins.get(container) ?? new Map<string | number, Origin>();
    this.origins.set(container, origins.set(key, origin));
  }
}

/** Entries are written by hand as well: a path is checked like the keys of a document. */
export function wrongPath(path: readonly string[]): string | undefined {
  if (path.length > maxDepth) return tooDeep;
  if (path.length > 0 && path.includes('')) return `"${path.join('/')}" is no path: it has an empty name in it`;
  const refused = path.find((step) => refusedKeys.has(step));
  return refused === undefined ? undefined : `"${refused}" cannot be a key`;
}
