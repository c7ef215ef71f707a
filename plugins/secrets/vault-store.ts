import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type ExtensionContext,
  errorCode,
  errorMessage,
  HectorError,
  milliseconds,
  type SecretStore,
} from '../../core/index.ts';
import type { VaultOptions } from './vault.ts';

const maxBytes = 2 * 1024 * 1024;

type Fields = Readonly<Record<string, unknown>>;

/** Reads the newest version of secrets. Of each path it asks once: the fields of one secret are of one version. */
export async function vaultStore(options: VaultOptions, { folder, signal }: ExtensionContext): Promise<SecretStore> {
  const token = await tokenOf(options, folder, signal);
  const asked = new Map<string, Promise<Fields>>();
  return {
    async resolve(reference, signal) {
      const [, path = '', field = ''] = /^([^#]+)#(.+)$/.exec(reference) ?? [];
      if (field === '') fail('it names no field: write the path of the secret, "#" and the field, as in llm#key');
      if (path.split('/').some((step) => step === '' || step === '.' || step === '..'))
        fail(`"${path}" is no path: write names with "/" between them`);
      let secret = asked.get(path);
      if (!secret) {
        secret = fieldsAt(path, token, options, signal);
        asked.set(path, secret);
      }
      return textOf(await secret, path, field);
    },
  };
}

async function tokenOf({ token, token_file }: VaultOptions, folder: string | undefined, signal: AbortSignal) {
  if (token_file === undefined)
    return token ?? fail('it needs a token. Set VAULT_TOKEN, or write "token:" or "token_file:"');
  try {
    return (await readFile(resolve(folder ?? '/', token_file), { encoding: 'utf8', signal })).trim();
  } catch (error) {
    return fail(`token_file: ${token_file} cannot be read: ${errorMessage(error)}`);
  }
}

async function fieldsAt(path: string, token: string, options: VaultOptions, signal: AbortSignal): Promise<Fields> {
  const { address, namespace, mount, timeout } = options;
  const steps = [...mount.split('/'), 'data', ...path.split('/')].filter((step) => step !== '');
  const url = `${address.replace(/\/+$/, '')}/v1/${steps.map(encodeURIComponent).join('/')}`;
  const headers = {
    'x-vault-request': 'true',
    'x-vault-token': token,
    ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
  };
  const late = AbortSignal.timeout(milliseconds(timeout));
  let response: Response;
  let text: string;
  try {
    // Whoever is redirected to would get the token.
    response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.any([signal, late]) });
    text = await textIn(response);
  } catch (error) {
    if (error instanceof HectorError) throw error;
    if (late.aborted) return fail(`${address} did not answer within ${timeout}`);
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return fail(`${address} cannot be reached: ${errorCode(cause) ?? errorMessage(cause)}`);
  }
  const answer = parsed(text);
  if (response.ok) {
    const fields = (answer?.['data'] as { readonly data?: unknown } | undefined)?.data;
    if (isMap(fields)) return fields;
    return fail(`${address} answers what no KV engine of version 2 would: is "${mount}" one (mount)?`);
  }
  // A server may say anything; not what it was told.
  const said = saidIn(answer).replaceAll(token, '***');
  return fail(why(response.status, path, options) + said);
}

function why(status: number, path: string, { address, mount }: VaultOptions): string {
  if (status === 404) return `there is no secret "${path}" in the mount "${mount}", or its newest version is deleted`;
  if (status === 403)
    return `${address} refuses the token (HTTP 403). It may be past its time, or lack a policy that reads ${mount}/data/${path}`;
  if (status === 503) return `${address} is sealed or not ready (HTTP 503)`;
  if (status >= 300 && status < 400)
    return `${address} sends elsewhere (HTTP ${status}), where the token must not go. Write the address of the server that answers`;
  return `${address} answers HTTP ${status}`;
}

function textOf(fields: Fields, path: string, field: string): string {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === undefined) return fail(`the secret "${path}" has no field "${field}" (it has ${namesOf(fields)})`);
  return fail(`the field "${field}" of "${path}" is no text`);
}

const namesOf = (fields: Fields) => Object.keys(fields).slice(0, 20).join(', ') || 'none';

const isMap = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

async function textIn(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxBytes) throw new HectorError('secret_store', 'its answer has more than 2 MiB');
  }
  return text + decoder.decode();
}

function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isMap(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function saidIn(answer: Fields | undefined): string {
  const errors = answer?.['errors'];
  const [first] = Array.isArray(errors) ? (errors as unknown[]) : [];
  return typeof first === 'string' && first !== '' ? `: ${first.replaceAll(/\s+/g, ' ').trim().slice(0, 200)}` : '';
}

function fail(message: string): never {
  throw new HectorError('secret_store', message);
}
