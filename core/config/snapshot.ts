import type { LoadedPlugin } from '../plugin/load.ts';
import type { Registry } from '../plugin/registry.ts';
import type { ConfigFile } from './config-files.ts';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import type { AgentConfig } from './language/agent.ts';
import type { HectorConfig } from './language/hector.ts';
import type { Secrets } from './secrets.ts';
import type { Place } from './text.ts';
import type { ValueOrigin } from './value-origin.ts';

/** A configuration that has passed every check that needs nothing built. Data only, frozen. */
export interface Snapshot {
  readonly config: HectorConfig;
  /** The agents of it, in its order, without a price for looking at one. */
  readonly agents: ReadonlyMap<string, AgentConfig>;
  /**
   * What it has in common with the configuration that was loaded before: `agents` has the names of `since` in the same order
   * and the same configurations, but for those of `changed`, and so have the files that they name. Absent where more differs.
   */
  readonly difference:
    | { readonly since: ReadonlyMap<string, AgentConfig>; readonly changed: readonly string[] }
    | undefined;
  /** sha256 of the resolved configuration and of the files that it refers to, hexadecimal: equal, and nothing changed. */
  readonly hash: string;
  readonly source: string;
  readonly revision: string;
  /** The folder that relative paths in the document start from; absent for a remote one. */
  readonly folder: string | undefined;
  /** By source: the document's text, or its entries, and the local file. They may hold secrets. */
  readonly texts: ReadonlyMap<string, string>;
  /**
   * Every file that the configuration refers to, and that variables were looked for in: absolute path, and sha256 of the
   * content, hexadecimal, '' where there is none. A change of one may be a change of the configuration.
   */
  readonly files: ReadonlyMap<string, string>;
  /** Those that options name, by the place of the option: what an instance is made from besides its options. */
  readonly optionFiles: readonly ConfigFile[];
  /** The same configuration, with references instead of what they stand for: what may be printed. */
  readonly printable: unknown;
  readonly warnings: readonly ConfigIssue[];
  /** Values that came from references. */
  readonly secrets: Secrets;
  /** After what time secret stores may have something else for it; `undefined`: nobody need ask them. */
  readonly refreshMs: number | undefined;
  /** What the document's plugins and the built-in ones provide. */
  readonly registry: Registry;
  /** The document's plugins. */
  readonly plugins: readonly LoadedPlugin[];
  /** Where a path is written, or the nearest thing around it that is. */
  locate(path: ConfigPath): Place;
  /** Who says what a value is. */
  originOf(path: ConfigPath): ValueOrigin;
  /** The folder that relative paths at this place start from: that of the text in which it is written. */
  folderOf(path: ConfigPath): string | undefined;
  /** The path that the configuration has for what was written at `path`: `server.tasks` is `storage.tasks`. */
  resolvedPath(path: ConfigPath): ConfigPath;
}
