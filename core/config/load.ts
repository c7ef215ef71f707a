import type { ConfigDocument } from '../extension/config-provider.ts';
import type { Plugin } from '../plugin/definition.ts';
import type { Environment } from './environment.ts';
import type { ConfigPath } from './issue.ts';
import type { Snapshot } from './snapshot.ts';

/** A value that wins over the document's: a flag of the command line. */
export interface Override {
  readonly path: ConfigPath;
  readonly value: unknown;
  /** What errors call it: `--port`. */
  readonly origin: string;
}

export interface LoadOptions {
  /** Registered before the document's own plugins. */
  readonly builtins: readonly Plugin[];
  readonly environment: Environment;
  readonly overrides?: readonly Override[];
}

/** From text to snapshot: limits, tree, references, schema, names. Throws one `ConfigError` with everything that is wrong. */
export async function loadSnapshot(_document: ConfigDocument, _options: LoadOptions): Promise<Snapshot> {
  throw new Error('in work');
}
