import { HectorError } from '../errors.ts';
import { type ConfigPath, formatPath, parsePath } from './issue.ts';
import type { Snapshot } from './snapshot.ts';
import { closest, listed } from './suggestion.ts';
import type { ValueOrigin } from './value-origin.ts';

/** A value of the configuration in force, and who says so. */
export interface ExplainedValue extends ValueOrigin {
  /** `agents.writer.tools[0]` */
  readonly path: string;
  /** As it may be printed: a reference where it came from one, and never a secret. */
  readonly value: unknown;
}

/** Where the value at a path comes from; of a section, one answer for each value in it. A list of plain values is one. */
export function explainPath(snapshot: Snapshot, path: ConfigPath | string): ExplainedValue[] {
  const asked = typeof path === 'string' ? parsePath(path) : path;
  const found = [asked, snapshot.resolvedPath(asked)].find(
    (each) => reach(snapshot.printable, each).missing === undefined,
  );
  if (!found) throw unknownPath(snapshot, asked);
  const explained: ExplainedValue[] = [];
  const visit = (value: unknown, at: ConfigPath): void => {
    const parts = partsOf(value);
    if (parts.length === 0) explained.push({ path: formatPath(at), value, ...snapshot.originOf(at) });
    for (const [key, part] of parts) visit(part, [...at, key]);
  };
  visit(reach(snapshot.printable, found).value, found);
  return explained;
}

/** What is explained one by one; nothing for a value that is explained as a whole. */
function partsOf(value: unknown): [string | number, unknown][] {
  if (Array.isArray(value)) return value.some((each) => typeof each === 'object') ? [...value.entries()] : [];
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

/** The value at a path, or the first step of it that leads nowhere. */
function reach(value: unknown, path: ConfigPath): { readonly value: unknown; readonly missing?: number } {
  let here: unknown = value;
  for (const [index, step] of path.entries()) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return { value: here, missing: index };
    here = (here as Record<string | number, unknown>)[step];
  }
  return { value: here };
}

function unknownPath({ printable }: Snapshot, path: ConfigPath): HectorError {
  const { value, missing = 0 } = reach(printable, path);
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const suggestion = closest(String(path[missing]), keys);
  const around = path.slice(0, missing);
  const hint =
    suggestion === undefined ? listed('there are', keys) : `Did you mean "${formatPath([...around, suggestion])}"?`;
  const where = around.length === 0 ? '' : ` in ${formatPath(around)}`;
  return new HectorError(
    'unknown_path',
    `There is no "${path[missing]}"${where} in this configuration${suggestion === undefined ? ` ${hint}.` : `. ${hint}`}`,
  );
}
