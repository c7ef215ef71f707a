import type { ConfigDocument } from '../extension/config-provider.ts';
import { Loader, type LoadOptions } from './loader.ts';
import type { Snapshot } from './snapshot.ts';

export type { LoadOptions } from './loader.ts';
export type { Override } from './overrides.ts';

/** From text to snapshot, once. Throws one `ConfigError` with everything that is wrong. */
export function loadSnapshot(document: ConfigDocument, options: LoadOptions): Promise<Snapshot> {
  return new Loader().load(document, options);
}
