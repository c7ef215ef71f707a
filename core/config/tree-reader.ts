import { isAlias, isMap, isScalar, isSeq, type Node, type ParsedNode } from 'yaml';
import type { ConfigPath } from './issue.ts';
import type { ConfigText } from './text.ts';
import type { ConfigMap, ConfigValue, Origin, Origins } from './tree.ts';

export const maxDepth = 64;
const maxAliases = 100;
/** Values that aliases may repeat: a hundred small blocks, not a hundred copies of a document. */
const maxRepeated = 100_000;
export const tooDeep = `nested more than ${maxDepth} deep`;
export const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Stops the parse: what follows would cost more than it is worth. */
export class LimitReached extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

type Report = (offset: number, rule: string, message: string, path?: ConfigPath) => void;

export interface ReaderOptions {
  readonly text: ConfigText;
  /** Where in the configuration the text belongs: empty for the whole of it. */
  readonly path: ConfigPath;
  /** Takes where each value is written. */
  readonly origins: Origins;
  readonly report: Report;
}

export interface Read {
  readonly value: ConfigValue;
  readonly origin: Origin;
}

/** Makes plain values of a YAML document, each alias a copy of its own, and notes where they stand. */
export class TreeReader {
  readonly #text: ConfigText;
  readonly #origins: Origins;
  readonly #report: Report;
  /** The newest node of each anchor, as far as the document has been read. */
  readonly #anchors = new Map<string, Node>();
  /** What each alias meant where it stood. */
  readonly #targets = new Map<Node, Node>();
  readonly #path: (string | number)[];
  #aliases = 0;
  #repeated = 0;
  /** Above 0 while an alias is being copied. */
  #copying = 0;

  constructor({ text, path, origins, report }: ReaderOptions) {
    this.#text = text;
    this.#path = [...path];
    this.#origins = origins;
    this.#report = report;
  }

  get aliases(): number {
    return this.#aliases;
  }

  /** What stands at the path that the text is for; the whole configuration is keys and values. */
  read(node: ParsedNode | null): Read {
    const offset = node === null ? 0 : start(node);
    const isNothing = node === null || (isScalar(node) && node.value === null);
    if (this.#path.length > 0 || isMap(node))
      return { value: this.#value(node, this.#path.length), origin: this.#originOf(node, offset) };
    if (!isNothing) {
      const got = isSeq(node) ? 'a list' : 'text';
      this.#report(offset, 'schema', `expected keys and values at the top of the document, got ${got}`);
    }
    return { value: {}, origin: this.#originOf(null, offset) };
  }

  #value(node: Node | null, depth: number): ConfigValue {
    if (node === null) return null;
    if (this.#copying > 0 && ++this.#repeated > maxRepeated) {
      throw new LimitReached(`aliases repeat more than ${maxRepeated} values`, start(node));
    }
    if (isAlias(node)) return this.#copy(node, (target) => this.#value(target, depth)) ?? null;
    if (this.#copying === 0 && 'anchor' in node && node.anchor) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#map(node as unknown as MapNode, depth);
    if (isSeq(node)) return this.#list(node.items as (Node | null)[], depth, start(node));
    return this.#scalar(node);
  }

  #copy<T>(alias: Node & { source?: unknown }, read: (target: Node) => T): T | undefined {
    const target = this.#targets.get(alias) ?? this.#anchors.get(String(alias.source));
    if (!target) {
      this.#report(start(alias), 'syntax', `no anchor &${String(alias.source)} comes before this alias`, [
        ...this.#path,
      ]);
      return undefined;
    }
    this.#targets.set(alias, target);
    if (++this.#aliases > maxAliases) throw new LimitReached(`more than ${maxAliases} aliases`, start(alias));
    this.#copying++;
    try {
      return read(target);
    } finally {
      this.#copying--;
    }
  }

  #scalar(node: Node): ConfigValue {
    const value = (node as { value?: unknown }).value;
    if (typeof value === 'number' && !Number.isFinite(value)) {
      this.#report(start(node), 'schema', 'expected a number that can be written in digits', [...this.#path]);
      return 0;
    }
    return value as ConfigValue;
  }

  #list(items: readonly (Node | null)[], depth: number, offset: number): ConfigValue[] {
    this.#deeper(depth, offset);
    const list: ConfigValue[] = [];
    const origins = new Map<string | number, Origin>();
    for (const [index, item] of items.entries()) {
      this.#path.push(index);
      list.push(this.#value(item, depth + 1));
      origins.set(index, this.#originOf(item, item === null ? offset : start(item)));
      this.#path.pop();
    }
    this.#origins.set(list, origins);
    return list;
  }

  #map(node: MapNode, depth: number): ConfigMap {
    this.#deeper(depth, start(node));
    const map: ConfigMap = {};
    const origins = new Map<string | number, Origin>();
    this.#origins.set(map, origins);
    const written = new Set<string>();
    for (const { key: keyNode, value } of node.items) {
      if (isMergeKey(keyNode)) {
        this.#merge(value, depth, map, origins);
        continue;
      }
      const key = this.#key(keyNode, node, written);
      if (key === undefined) continue;
      written.add(key);
      this.#path.push(key);
      map[key] = this.#value(value, depth + 1);
      origins.set(key, this.#originOf(value, keyNode ? start(keyNode) : start(node)));
      this.#path.pop();
    }
    return map;
  }

  #key(node: Node | null, parent: MapNode, written: ReadonlySet<string>): string | undefined {
    const offset = node ? start(node) : start(parent);
    if (!isScalar(node) || node.value === null) {
      this.#report(offset, 'syntax', 'a key is a name, not empty and not a list or a map', [...this.#path]);
      return undefined;
    }
    if (this.#copying === 0 && node.anchor) this.#anchors.set(node.anchor, node);
    const key = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    if (refusedKeys.has(key)) {
      this.#report(offset, 'syntax', `"${key}" cannot be a key`, [...this.#path]);
      return undefined;
    }
    if (written.has(key)) {
      this.#report(offset, 'syntax', `the key "${key}" is here twice; keep one`, [...this.#path, key]);
      return undefined;
    }
    return key;
  }

  /** What the map says itself wins, wherever it says it; of several sources, the first. */
  #merge(node: Node | null, depth: number, into: ConfigMap, origins: Map<string | number, Origin>): void {
    const sources = isSeq(node) ? (node.items as (Node | null)[]) : [node];
    for (const source of sources) {
      const merged = this.#value(source, depth);
      if (typeof merged !== 'object' || merged === null || Array.isArray(merged)) {
        this.#report(source ? start(source) : 0, 'syntax', '"<<" takes a map, an alias of one, or a list of them', [
          ...this.#path,
        ]);
        continue;
      }
      for (const [key, value] of Object.entries(merged)) {
        if (Object.hasOwn(into, key)) continue;
        into[key] = value;
        const origin = this.#origins.get(merged)?.get(key);
        if (origin) origins.set(key, origin);
      }
    }
  }

  #originOf(node: Node | null, offset: number): Origin {
    const written =
      isScalar(node) && (typeof node.value === 'number' || typeof node.value === 'boolean') ? node.source : undefined;
    return written === undefined ? { text: this.#text, offset } : { text: this.#text, offset, source: written };
  }

  #deeper(depth: number, offset: number): void {
    if (depth >= maxDepth) throw new LimitReached(tooDeep, offset);
  }
}

interface MapNode {
  readonly range?: Node['range'];
  readonly items: readonly { readonly key: Node | null; readonly value: Node | null }[];
}

function isMergeKey(node: Node | null): boolean {
  if (!isScalar(node) || (node.type !== undefined && node.type !== 'PLAIN')) return false;
  return node.value === '<<' || (typeof node.value === 'symbol' && node.value.description === '<<');
}

const start = (node: { readonly range?: Node['range'] }): number => node.range?.[0] ?? 0;
