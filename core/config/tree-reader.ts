import { isAlias, isMap, isScalar, isSeq, type Node, type ParsedNode } from 'yaml';
import type { ConfigPath } from './issue.ts';
import type { ConfigMap, ConfigValue, Container, Origin } from './tree.ts';

export const maxDepth = 64;
const maxAliases = 100;
/** Values that aliases may repeat: a hundred small blocks, not a hundred copies of a document. */
const maxRepeated = 100_000;
export const tooDeep = `nested more than ${maxDepth} deep`;
const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Stops the parse: what follows would cost more than it is worth. */
export class LimitReached extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Makes plain values of a YAML document, each alias a copy of its own, and notes where they stand. */
export class TreeReader {
  readonly origins = new WeakMap<Container, Map<string | number, Origin>>();
  readonly #report: (offset: number, rule: string, message: string, path?: ConfigPath) => void;
  /** The newest node of each anchor, as far as the document has been read. */
  readonly #anchors = new Map<string, Node>();
  /** What each alias meant where it stood. */
  readonly #targets = new Map<Node, Node>();
  readonly #path: (string | number)[] = [];
  #aliases = 0;
  #repeated = 0;
  /** Above 0 while an alias is being copied. */
  #copying = 0;

  constructor(report: (offset: number, rule: string, message: string, path?: ConfigPath) => void) {
    this.#report = report;
  }

  root(node: ParsedNode | null): ConfigMap {
    if (node === null || (isScalar(node) && node.value === null)) return {};
    if (isMap(node)) return this.#map(node as unknown as MapNode, 0);
    this.#report(
      start(node),
      'schema',
      `expected keys and values at the top of the document, got ${isSeq(node) ? 'a list' : 'text'}`,
    );
    return {};
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
      origins.set(index, originOf(item, item === null ? offset : start(item)));
      this.#path.pop();
    }
    this.origins.set(list, origins);
    return list;
  }

  #map(node: MapNode, depth: number): ConfigMap {
    this.#deeper(depth, start(node));
    const map: ConfigMap = {};
    const origins = new Map<string | number, Origin>();
    this.origins.set(map, origins);
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
      origins.set(key, originOf(value, keyNode ? start(keyNode) : start(node)));
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
        const origin = this.origins.get(merged)?.get(key);
        if (origin) origins.set(key, origin);
      }
    }
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

function originOf(node: Node | null, offset: number): Origin {
  const written =
    isScalar(node) && (typeof node.value === 'number' || typeof node.value === 'boolean') ? node.source : undefined;
  return written === undefined ? { offset } : { offset, source: written };
}

const start = (node: { readonly range?: Node['range'] }): number => node.range?.[0] ?? 0;
