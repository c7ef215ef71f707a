import { resolve } from 'node:path';
import { HectorError, milliseconds, Type } from '../core/index.ts';

const filled = { minLength: 1 };

export const textOption = (description: string) => Type.Optional(Type.String({ ...filled, description }));

/** One server or several: a list, or one text with commas. */
export const serversOption = (description: string) =>
  Type.Optional(Type.Union([Type.String(filled), Type.Array(Type.String(filled), { minItems: 1 })], { description }));

export const keyOption = Type.String({
  ...filled,
  description: 'The key of the document; with a "/" at its end everything below it is the document',
});

/** Certificates for a connection to whom the store calls its server. */
export const tlsOption = (server: string, description: string) =>
  Type.Optional(
    Type.Object(
      {
        ca: textOption(`PEM file with the authorities that may sign the ${server}; default: those that Node.js knows`),
        cert: textOption('PEM file with the certificate that Hector shows'),
        key: textOption('PEM file with the key of that certificate'),
        server_name: textOption(`The name in the certificate of the ${server}, if it is not the one in its address`),
      },
      { additionalProperties: false, description },
    ),
  );

export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly server_name?: string;
}

/** With the paths of its files taken from the folder of the configuration. */
export function tlsFiles(provider: string, { server_name, ...files }: TlsOptions = {}, folder = ''): TlsOptions {
  checkTogether(provider, 'tls.cert', files.cert, 'tls.key', files.key);
  const paths = Object.entries(files).map(([name, path]) => [name, resolve(folder, path)]);
  return { ...Object.fromEntries(paths), ...(server_name === undefined ? {} : { server_name }) };
}

export const invalid = (message: string) => new HectorError('invalid_options', message);

/** Two options of which neither means anything without the other. */
export function checkTogether(
  provider: string,
  name: string,
  value: unknown,
  other: string,
  otherValue: unknown,
): void {
  if ((value === undefined) !== (otherValue === undefined))
    throw invalid(`The ${provider} provider takes "${name}" and "${other}" together, or neither.`);
}

/** The milliseconds of a duration that has to be neither too short nor too long. */
export function bounded(provider: string, name: string, text: string, leastMs: number, mostMs: number): number {
  const ms = milliseconds(text);
  if (ms < leastMs || ms > mostMs)
    throw invalid(`"${name}" of the ${provider} provider is ${text}: it takes ${leastMs} ms to ${mostMs / 1_000} s.`);
  return ms;
}
