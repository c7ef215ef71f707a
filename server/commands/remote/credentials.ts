import { readFileSync } from 'node:fs';
import { errorMessage } from '../../../core/errors.ts';
import { UsageError } from '../usage-error.ts';

/** How a command line says who asks. */
export interface CredentialFlags {
  readonly token?: string;
  readonly tokenFile?: string;
  /** `Name: value` each. */
  readonly header?: readonly string[];
}

/** Headers for the server that is named, and for no other. */
export function credentials({ token, tokenFile, header = [] }: CredentialFlags): Headers {
  const headers = new Headers();
  const bearer = token ?? (tokenFile === undefined ? process.env['HECTOR_TOKEN'] || undefined : read(tokenFile));
  if (bearer !== undefined) set(headers, 'Authorization', `Bearer ${bearer}`, 'The token');
  for (const line of header) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new UsageError(`--header takes a name and a value: --header 'X-API-Key: …'.`);
    const name = line.slice(0, colon).trim();
    set(headers, name, line.slice(colon + 1).trim(), `The header "${name}"`);
  }
  return headers;
}

/** What is wrong with a value is not for showing: it may be a secret. */
function set(headers: Headers, name: string, value: string, what: string): void {
  try {
    headers.set(name, value);
  } catch {
    throw new UsageError(`${what} has characters that cannot be sent in a header.`);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`The token file ${file} cannot be read: ${errorMessage(error)}.`);
  }
}
