import { setTimeout as sleep } from 'node:timers/promises';
import { contentHash } from '../../core/config/content-hash.ts';
import { loadSnapshot } from '../../core/config/load.ts';
import { HectorError } from '../../core/errors.ts';
import type { ConfigContent, ConfigDocument, ConfigProvider } from '../../core/extension/config-provider.ts';
import { builtins } from '../../plugins/builtin.ts';

export interface Kept {
  readonly provider: ConfigProvider & Required<Pick<ConfigProvider, 'write' | 'annex'>>;
  /** Beside the configuration, by path. */
  readonly annex: Map<string, string>;
  /** As if somebody else had written it, with no word in the history. */
  put(content: ConfigContent | undefined): string;
  now(): ConfigDocument;
}

export interface KeptOptions {
  readonly content?: ConfigContent;
  /** The key ends in `/`. */
  readonly entries?: boolean;
  /** The revision is a hash of the content, as a file's is. */
  readonly hashes?: boolean;
}

/** A config provider that keeps all it holds in memory, and replicas that announce themselves there. */
export function keptInMemory({ content, entries = false, hashes = false }: KeptOptions = {}): Kept {
  const annex = new Map<string, string>();
  let current: ConfigContent | undefined;
  let count = 0;
  const put = (next: ConfigContent | undefined): string => {
    current = next;
    count++;
    return now().revision;
  };
  const now = (): ConfigDocument => {
    const revision = current === undefined ? '0' : hashes ? contentHash(current) : String(count);
    if (current === undefined)
      return { text: '', source: 'memory:x', revision, missing: true, ...(entries && { entries: new Map() }) };
    return { ...current, source: 'memory:x', revision };
  };
  if (content) put(content);
  const below = (path: string) => [...annex.keys()].filter((each) => each === path || each.startsWith(`${path}/`));
  return {
    annex,
    put,
    now,
    provider: {
      async *watch(signal) {
        let last: string | undefined;
        while (!signal.aborted) {
          if (last !== now().revision) yield now();
          last = now().revision;
          await sleep(5, undefined, { signal }).catch(() => undefined);
        }
      },
      async write(next, expected) {
        const { missing, revision } = now();
        if (expected !== (missing ? undefined : revision)) throw new HectorError('conflict', 'It has changed.');
        return put(next);
      },
      annex: {
        list: async (folder) =>
          below(folder)
            .filter((path) => path !== folder)
            .map((path) => path.slice(folder.length + 1)),
        read: async (path) => annex.get(path),
        // As bytes: half of a character would not come back.
        write: async (path, text) => void annex.set(path, Buffer.from(text).toString()),
        remove: async (path) => {
          for (const each of below(path)) annex.delete(each);
        },
        announce(path, text) {
          annex.set(path, text);
          return {
            update: (next) => void annex.set(path, next),
            [Symbol.asyncDispose]: async () => void annex.delete(path),
          };
        },
      },
    },
  };
}

/** What the commands take, over a provider. */
export function sourceOver({ provider, now }: Pick<Kept, 'provider' | 'now'>, history = 10) {
  return {
    provider,
    history,
    source: 'memory:x',
    read: async () => now(),
    load: (document: ConfigDocument) => loadSnapshot(document, { builtins, environment: environment() }),
  };
}

function environment() {
  return { get: (name: string) => ({ SECRET: 'canary-secret' })[name] };
}
