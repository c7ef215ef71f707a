import { type ConfigAnnex, HectorError } from '../core/index.ts';
import type { Store } from './store.ts';

/** Kept beside the key: for `hector/config` and for `hector/config/` below `hector/config.annex/`. */
export function storeAnnex(store: Store, key: string): Required<ConfigAnnex> {
  const root = `${key.replace(/\/$/, '')}.annex/`;
  const at = (path: string) => `${root}${checked(path)}`;
  return {
    async list(folder, signal) {
      const prefix = `${at(folder)}/`;
      const keys = await store.keys(prefix, signal);
      return keys.map((each) => each.slice(prefix.length));
    },
    read: async (path, signal) => store.get(at(path), signal),
    write: async (path, text, signal) => store.put(at(path), text, signal),
    remove: async (path, signal) => store.remove(at(path), signal),
    announce: (path, text) => store.announce(at(path), text),
  };
}

function checked(path: string): string {
  for (const segment of path.split('/')) {
    if (!/^[A-Za-z0-9._-]+$/.test(segment) || /^\.+$/.test(segment))
      throw new HectorError(
        'invalid_path',
        `"${path}" is no place beside the configuration: paths have segments of letters, digits, ".", "_" and "-".`,
      );
  }
  return path;
}
