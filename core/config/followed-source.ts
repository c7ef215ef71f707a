import type { ConfigContent, ConfigDocument, ConfigProvider } from '../extension/config-provider.ts';
import type { InboxTimes } from './inbox.ts';
import type { LastGood } from './last-good.ts';
import type { Snapshot } from './snapshot.ts';

export type BootPolicy = 'wait' | 'last_good' | 'fail';

/** Where the configuration comes from, and how it is followed. */
export interface SourceOptions {
  readonly provider: ConfigProvider;
  /** `file`, `consul`. */
  readonly providerName: string;
  /** `consul:hector/prod` */
  readonly source: string;
  /** Name of this replica. */
  readonly instance: string;
  /** Whether changes are followed, or the configuration only read at the start and on `reload`. */
  readonly watch: boolean;
  readonly boot: BootPolicy;
  /** Whether a document that is missing or empty may take the place of one that was not. */
  readonly allowEmpty: boolean;
  readonly times: InboxTimes;
  readonly lastGood?: LastGood | undefined;
  load(document: ConfigDocument): Promise<Snapshot>;
  /** As `load`, of a document that is only looked at; default: `load` itself. */
  check?(document: ConfigDocument): Promise<Snapshot>;
  /** Compare-and-set with history. */
  write(content: ConfigContent, expected: string | undefined, signal: AbortSignal): Promise<string>;
  /** Follows the files that a configuration refers to. */
  watchFiles?(onChange: () => void): FileFollower;
}

export interface FileFollower extends AsyncDisposable {
  /** From now on these, whether they are there or not: absolute path, and the sha256 of the content that is known. */
  set(files: ReadonlyMap<string, string>): void;
}
