import type { ConfigContent, ConfigDocument } from '../extension/config-provider.ts';
import type { Snapshot } from './snapshot.ts';
import type { ConfigStatus, ReloadEvent } from './status.ts';

/** What the process can be asked and told about its configuration. */
export interface ConfigControl {
  status(): ConfigStatus;
  /** Reads the source once, now, and serves what it finds. Resolves when that is done; throws what was wrong with it. */
  reload(): Promise<ReloadEvent>;
  /** The document as the source has it now. Throws when it cannot be reached. */
  read(signal: AbortSignal): Promise<ConfigDocument>;
  /** Text to snapshot, as `reload` would make it, without any effect. Throws a ConfigError. */
  check(content: ConfigContent): Promise<Snapshot>;
  /** Compare-and-set of the source, its earlier content kept in the history. Returns the new revision. */
  write(content: ConfigContent, expected: string | undefined, signal: AbortSignal): Promise<string>;
}
