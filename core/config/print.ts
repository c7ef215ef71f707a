import { stringify } from 'yaml';
import type { Snapshot } from './snapshot.ts';

/** The configuration that is in force, as YAML: defaults filled in, references instead of secrets. */
export function printConfig(snapshot: Snapshot): string {
  return stringify(snapshot.printable, { lineWidth: 0, aliasDuplicateObjects: false });
}
