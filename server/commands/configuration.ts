import type { Snapshot } from '../../core/config/snapshot.ts';
import type { Flags } from './flags.ts';
import { openSource } from './source.ts';

const readMs = 10_000;

/** The configuration of a file, or of the store that its `config` block names, as `serve` would take it. */
export async function loadConfiguration(file: string | undefined, flags: Flags = {}): Promise<Snapshot> {
  await using source = await openSource(file === undefined ? {} : { config: file }, flags);
  return await source.load(await source.read(AbortSignal.timeout(readMs)));
}
