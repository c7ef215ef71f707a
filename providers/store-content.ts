import { createHash } from 'node:crypto';
import { type ConfigContent, HectorError } from '../core/index.ts';
import type { StoredValue, StoreState } from './store.ts';
import { type Guard, guardName, parseGuard } from './store-guard.ts';

/** What a store holds at a key, with the versions that a write compares. */
export interface StoreContent {
  readonly content: ConfigContent;
  /** Of nothing at all it is always the same. */
  readonly revision: string;
  readonly missing: boolean;
  /** By path, the guard not among them; '' is the key itself. */
  readonly values: StoreState;
  /** Of a key that ends in `/`, once something was pushed to it. */
  readonly guard: { readonly version: string; readonly push: Guard } | undefined;
}

export const isPrefix = (key: string): boolean => key.endsWith('/');

export function storeContent(key: string, state: StoreState): StoreContent {
  if (!isPrefix(key)) {
    const value = state.get('');
    return {
      content: { text: value?.text ?? '' },
      revision: value?.version ?? '0',
      missing: value === undefined,
      values: value ? new Map([['', value]]) : new Map(),
      guard: undefined,
    };
  }
  const values = new Map<string, StoredValue>();
  const entries = new Map<string, string>();
  for (const path of [...state.keys()].sort()) {
    const value = state.get(path) as StoredValue;
    // Consul's web page keeps an empty folder as an empty key that ends in `/`.
    if (path === guardName || (value.text === '' && (path === '' || path.endsWith('/')))) continue;
    checkEntryPath(key, path);
    values.set(path, value);
    entries.set(path, value.text);
  }
  const guard = state.get(guardName);
  return {
    content: { text: '', entries },
    revision: prefixRevision(values),
    missing: values.size === 0,
    values,
    guard: guard && { version: guard.version, push: parseGuard(`${key}${guardName}`, guard.text) },
  };
}

/** Sections and names, `agents/writer`. Names that begin with a dot are Hector's own. */
export function checkEntryPath(key: string, path: string): void {
  for (const segment of path.split('/')) {
    if (segment === '')
      throw new HectorError(
        'invalid_entry',
        `The key "${key}${path}" is not part of a configuration: it has an empty segment. An entry below "${key}" is ` +
          'named like "agents/writer". Remove it, or give it such a name.',
      );
    if (segment.startsWith('.'))
      throw new HectorError(
        'invalid_entry',
        `The key "${key}${path}" is not part of a configuration: names that begin with a dot are kept for Hector ` +
          'itself. Remove it, or give it another name.',
      );
  }
}

/**
 * Changes with every change of any entry: versions grow, so the same pairs of path and version are the same texts, and an
 * entry that was removed takes its pair with it.
 */
export function prefixRevision(values: ReadonlyMap<string, { readonly version: string }>): string {
  const hash = createHash('sha256');
  let highest = 0n;
  for (const path of [...values.keys()].sort()) {
    const version = values.get(path)?.version ?? '';
    hash.update(JSON.stringify([path, version]));
    const number = BigInt(version);
    if (number > highest) highest = number;
  }
  return `${highest}-${hash.digest('hex').slice(0, 8)}`;
}
