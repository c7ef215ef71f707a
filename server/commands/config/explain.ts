import { type ExplainedValue, explainPath } from '../../../core/config/explain-path.ts';
import type { Output } from '../output.ts';
import type { EditableSource } from './editable-source.ts';
import { json, table } from './table.ts';

/** Where values of the configuration in force come from. */
export async function explainCommand(
  source: EditableSource,
  path: string,
  { format }: { readonly format: 'pretty' | 'json' },
  signal: AbortSignal,
): Promise<Output> {
  const snapshot = await source.load(await source.read(signal));
  const values = explainPath(snapshot, path);
  if (format === 'json') return { code: 0, stdout: json({ source: source.source, values }) };
  const rows = values.map((value) => [value.path, shown(value.value), originText(value)]);
  return { code: 0, stdout: table([['PATH', 'VALUE', 'FROM'], ...rows]) };
}

/** On one line. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}

function originText({ from, where, reference }: ExplainedValue): string {
  if (from === 'default') return 'default';
  if (from === 'implied') return 'follows from the rest of the configuration';
  const place = { flag: 'flag', environment: 'environment', local: 'local file', document: 'document' }[from];
  const written = reference === undefined || from === 'environment' ? '' : `, written ${reference}`;
  return `${place}${where === undefined ? '' : ` ${where}`}${written}`;
}
