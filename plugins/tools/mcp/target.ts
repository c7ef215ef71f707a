import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HectorError } from '../../../core/index.ts';
import type { McpOptions } from './options.ts';

export interface ProcessTarget {
  readonly kind: 'process';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
}

export type HttpTransportName = 'streamable-http' | 'sse';

export interface HttpTarget {
  readonly kind: 'http';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Tried in this order. */
  readonly transports: readonly HttpTransportName[];
}

/** Where a server is, and how it is spoken to. */
export type Target = ProcessTarget | HttpTarget;

/** What the options say, checked. What cannot work however long one waits throws. */
export async function targetOf(options: McpOptions, owner: string, folder: string | undefined): Promise<Target> {
  const { url, command, transport } = options;
  const wrong = (sentence: string) => new HectorError('mcp_misconfigured', `${owner}: ${sentence}.`);
  if (url !== undefined && command !== undefined) {
    throw wrong('there is a url and a command, and a server is either reached or started. Remove one of the two');
  }
  if (command !== undefined) {
    const stray = options.headers ? 'headers' : transport !== undefined && transport !== 'stdio' ? 'transport' : '';
    if (stray !== '') throw wrong(`"${stray}" is for a server with a url, and this one has a command`);
    return processTarget(options, command, owner, folder);
  }
  if (url === undefined)
    throw wrong('there is neither a url nor a command. Say where the server is, or how to start it');
  const stray = (['args', 'env', 'working_directory'] as const).find((key) => options[key] !== undefined);
  if (stray !== undefined) throw wrong(`"${stray}" is for a server with a command, and this one has a url`);
  if (transport === 'stdio') throw wrong('transport: stdio is for a server with a command, and this one has a url');

  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol)) throw wrong(`"url" is not an http or https URL`);
  if (parsed.username !== '' || parsed.password !== '') {
    throw wrong('"url" holds credentials. Send them as a header: headers: { Authorization: … }');
  }
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    try {
      new Headers({ [name]: value });
    } catch {
      throw wrong(`headers: "${name}" or its value cannot be sent as an HTTP header`);
    }
  }
  return { kind: 'http', url: parsed, headers: options.headers ?? {}, transports: transportsOf(transport) };
}

/**
 * Hector v2 called everything sent by HTTP `sse`, so what is called that may be either of the two. Who asks for
 * `streamable-http` gets that.
 */
function transportsOf(transport: HttpTransportName | undefined): readonly HttpTransportName[] {
  if (transport === undefined) return ['streamable-http', 'sse'];
  return transport === 'sse' ? ['sse', 'streamable-http'] : ['streamable-http'];
}

async function processTarget(
  options: McpOptions,
  command: string,
  owner: string,
  start: string | undefined,
): Promise<ProcessTarget> {
  const folder = resolve(start ?? '', options.working_directory ?? '');
  const stats = await stat(folder).catch(() => undefined);
  if (!stats?.isDirectory()) {
    throw new HectorError('mcp_misconfigured', `${owner}.working_directory: ${folder} is not a folder.`);
  }
  return { kind: 'process', command, args: options.args ?? [], env: options.env ?? {}, folder };
}
