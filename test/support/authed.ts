import { userMessage } from './a2a-client.ts';
import { rewrite } from './config-status.ts';
import type { Hector } from './hector.ts';
import { until } from './until.ts';

export type Credentials = Readonly<Record<string, string>>;

export const withKey = (key: string): Credentials => ({ 'x-api-key': key });
export const withBearer = (token: string): Credentials => ({ authorization: `Bearer ${token}` });

function call({ url }: Pick<Hector, 'url'>, credentials: Credentials, method: string, params: object) {
  return fetch(`${url}/agents/talker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0', ...credentials },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
}

/** Whether a caller may list the agents: 200 or 401. */
export async function knock({ url }: Pick<Hector, 'url'>, credentials: Credentials = {}): Promise<number> {
  const response = await fetch(`${url}/agents`, { headers: credentials });
  await response.text();
  return response.status;
}

/** The id of the task that `talker` makes of a text; it has ended. */
export async function sendAs(hector: Pick<Hector, 'url'>, credentials: Credentials, text: string): Promise<string> {
  const response = await call(hector, credentials, 'SendMessage', { message: userMessage(text) });
  const { result } = (await response.json()) as { result: { task: { id: string } } };
  return result.task.id;
}

/** The code of the error with which a task is refused to a caller; `undefined` if it is theirs. */
export async function taskRefused(hector: Pick<Hector, 'url'>, credentials: Credentials, id: string) {
  const response = await call(hector, credentials, 'GetTask', { id });
  const { error } = (await response.json()) as { error?: { code: number } };
  return error?.code;
}

/** Opens a stream to `talker` and waits until it is at work. The result waits for its end, and is all that was sent. */
export async function streamAs(hector: Pick<Hector, 'url'>, credentials: Credentials, text: string) {
  const response = await call(hector, credentials, 'SendStreamingMessage', { message: userMessage(text) });
  if (!response.body) throw new Error(`There is no stream, but ${response.status}`);
  let received = '';
  const ended = (async () => {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) received += Buffer.from(chunk).toString();
    return received;
  })();
  // Whoever waits for the end is told.
  ended.catch(() => undefined);
  await until(() => received.includes('begun by'));
  return () => ended;
}

export async function health({ url }: Pick<Hector, 'url'>) {
  return (await (await fetch(`${url}/health`)).json()) as { readonly generation: number; readonly auth?: object };
}

/** Rewrites the configuration of a server that watches it, and waits until that is what serves. Needs no credentials. */
export async function swap(hector: Pick<Hector, 'url' | 'folder'>, config: string): Promise<void> {
  const { generation } = await health(hector);
  await rewrite(hector, config);
  await until(async () => (await health(hector)).generation > generation, 20_000);
}
