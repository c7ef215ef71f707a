import { invalidParams } from './errors.ts';

type Kind = 'text' | 'number' | 'flag';

/** The parameters of URLs, in the names of the protocol; `page_size` is `pageSize` as well. */
const kinds: Readonly<Record<string, Kind>> = {
  tenant: 'text',
  contextId: 'text',
  status: 'text',
  pageSize: 'number',
  pageToken: 'text',
  historyLength: 'number',
  statusTimestampAfter: 'text',
  includeArtifacts: 'flag',
};

/**
 * The parameters of a URL as they would be in JSON, so that the same checks apply. What has no such form is left as it is,
 * for the check to refuse. An empty one is as good as none, and unknown ones are left out.
 */
export function readQuery(querystring: string): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [given, value] of new URLSearchParams(querystring)) {
    const name = given.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined || value === '') continue;
    if (Object.hasOwn(fields, name)) throw invalidParams(name, 'is given more than once');
    fields[name] = read(kind, value);
  }
  return fields;
}

function read(kind: Kind, value: string): unknown {
  if (kind === 'number' && /^-?\d{1,15}$/.test(value)) return Number(value);
  if (kind === 'flag' && (value === 'true' || value === 'false')) return value === 'true';
  return value;
}
