import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { errorCode } from '../../core/errors.ts';
import type { ConfigContent } from '../../core/extension/config-provider.ts';
import { parseJson, readBody } from '../body.ts';
import { HttpError } from '../http-error.ts';

const maxBytes = 4 * 1024 ** 2;
const maxDepth = 64;
const json = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const yaml = /^(?:application|text)\/(?:[\w.-]+\+|x-)?yaml\s*(?:;|$)/i;

/** Pages of other sites can send what forms send without being asked about it first, and neither JSON nor YAML is that. */
export function requireMediaType({ headers }: IncomingMessage): void {
  const { 'content-type': type, 'content-encoding': encoding, 'content-length': length } = headers;
  const hasBody = headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
  if (type === undefined ? hasBody : !json.test(type) && !yaml.test(type)) {
    const sent = type === undefined ? '' : `, not "${type}"`;
    throw new HttpError(
      415,
      'unsupported_media_type',
      `Send YAML or JSON, with "Content-Type: application/yaml" or "application/json"${sent}.`,
    );
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    throw new HttpError(
      415,
      'unsupported_media_type',
      `Send the body as it is, not with "Content-Encoding: ${encoding}".`,
    );
}

/** A configuration out of a request: its text, or as `{"entries":{…}}` the texts below a prefix. */
export async function readContent(request: IncomingMessage): Promise<ConfigContent> {
  const body = await readBody(request, maxBytes).catch((error: unknown) => {
    if (errorCode(error) !== 'too_large') throw error;
    throw tooLarge(`A configuration of more than ${maxBytes / 1024 ** 2} MiB is not taken over HTTP.`);
  });
  if (!isUtf8(body)) throw new HttpError(400, 'bad_request', 'The configuration is not UTF-8 text.');
  const entries = json.test(request.headers['content-type'] ?? '') ? entriesOf(body) : undefined;
  const content: ConfigContent = entries ? { text: '', entries } : { text: body.toString('utf8') };
  if (entries ? entries.size > 0 : content.text.trim() !== '') return content;
  throw new HttpError(
    400,
    'config_empty',
    'There is nothing in the body. Send the configuration that is to be served.',
  );
}

export function tooLarge(message: string): HttpError {
  return new HttpError(413, 'too_large', message, { headers: { Connection: 'close' } });
}

/** Any other JSON is a configuration that is written in JSON. */
function entriesOf(body: Buffer): ReadonlyMap<string, string> | undefined {
  if (body.length === 0) return undefined;
  const value = parseJson(body, maxDepth);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'entries')) return undefined;
  const { entries, ...rest } = value as { readonly entries: unknown };
  const isMap = typeof entries === 'object' && entries !== null && !Array.isArray(entries);
  if (!isMap || Object.keys(rest).length > 0 || Object.values(entries).some((text) => typeof text !== 'string'))
    throw new HttpError(
      400,
      'bad_request',
      'Entries are sent as {"entries": {"<path>": "<text>", …}} and nothing else.',
    );
  return new Map(Object.entries(entries as Record<string, string>));
}
