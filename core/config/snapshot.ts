import type { Registry } from '../plugin/registry.ts';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import type { HectorConfig } from './language/hector.ts';
import type { Secrets } from './secrets.ts';

/** A configuration that has passed every check that needs nothing built. Data only, frozen. */
export interface Snapshot {
  readonly config: HectorConfig;
  /** sha256 of the resolved configuration, hexadecimal: equal hashes mean that nothing changed. */
  readonly hash: string;
  readonly source: string;
  readonly revision: string;
  /** The folder that relative paths start from; absent for a remote document. */
  readonly folder: string | undefined;
  /** The document's text, for code frames. */
  readonly text: string;
  /** The same configuration, with references instead of what they stand for: what may be printed. */
  readonly printable: unknown;
  readonly warnings: readonly ConfigIssue[];
  /** Values that came from references. */
  readonly secrets: Secrets;
  /** What the document's plugins and the built-in ones provide. */
  readonly registry: Registry;
  /** Where in the document a path is, or the nearest thing around it that is there. */
  locate(path: ConfigPath): Pick<ConfigIssue, 'line' | 'column' | 'origin'>;
}
