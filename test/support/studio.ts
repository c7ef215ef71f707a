import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { etcdMissing } from '../services/etcd.ts';
import { type Hector, type HectorOptions, startHector } from './hector.ts';
import { storeKinds } from './stores.ts';

const key = 'hector/studio/config';
/** Where a configuration is: a server over it, and the way around that server. */
export interface Studio extends AsyncDisposable {
  readonly hector: Hector;
  /** `etcd:hector/studio/config` */
  readonly source: string;
  /** What `hector config …` needs to find it. */
  readonly flags: readonly string[];
  /** As somebody else would write it. */
  put(text: string): Promise<void>;
}

interface Wish extends Pick<HectorOptions, 'env'> {
  readonly text: string;
  readonly args?: readonly string[];
}

export const studioOverFile = {
  name: 'a file',
  missing: false,
  async start({ text: config, args = ['--studio'], ...rest }: Wish): Promise<Studio> {
    const hector = await startHector({ config, args, ...rest });
    const path = join(hector.folder, 'config.yaml');
    return {
      hector,
      source: path,
      flags: ['--config', path],
      put: (next) => writeFile(path, next),
      [Symbol.asyncDispose]: () => hector[Symbol.asyncDispose](),
    };
  },
} as const;

export const studioOverEtcd = {
  name: 'etcd',
  missing: etcdMissing,
  async start({ text: config, args = ['--studio'], ...rest }: Wish): Promise<Studio> {
    const kind = storeKinds.find(({ name }) => name === 'etcd');
    assert.ok(kind);
    const store = await kind.start();
    try {
      await store.put(key, config);
      const flags = ['--config-provider', 'etcd', '--config-address', store.address(), '--config-key', key];
      const local = 'config: { provider: etcd, throttle: 0 }\n';
      const hector = await startHector({ config: local, args: [...flags, ...args], ...rest });
      return {
        hector,
        source: `etcd:${key}`,
        flags,
        put: (next) => store.put(key, next),
        async [Symbol.asyncDispose]() {
          await hector[Symbol.asyncDispose]();
          await store[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
  },
} as const;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Of JSON. */
  readonly error: { readonly code: string; readonly message: string; readonly issues: readonly Issue[] };
}

interface Issue {
  readonly message: string;
  readonly path: readonly string[];
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

export type Headers = Readonly<Record<string, string>>;

/** Sends headers that `fetch` would not: `Host`, `Origin`. */
export async function ask(
  { url }: Hector,
  method: string,
  path: string,
  headers: Headers = {},
  body = '',
): Promise<Answer> {
  const sent = request(new URL(path, url), { method, headers, agent: false });
  sent.end(body);
  const [response] = await once(sent, 'response');
  let answer = '';
  for await (const chunk of response.setEncoding('utf8')) answer += chunk;
  const isJson = /json/.test(response.headers['content-type'] ?? '');
  const { error } = isJson ? JSON.parse(answer) : {};
  return { status: response.statusCode, headers: response.headers, text: answer, error };
}
