import { userMessage } from './a2a-client.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what was answered, whatever its shape.
  readonly body: any;
}

/** One request with JSON, by whoever holds the key; a key that is `undefined` is not sent. */
export async function ask(
  url: string,
  key: string | undefined,
  body?: unknown,
  init: RequestInit = {},
): Promise<Answered> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    ...init,
    headers: {
      'content-type': 'application/json',
      'a2a-version': '1.0',
      ...(key !== undefined && { 'x-api-key': key }),
      ...(init.headers as Record<string, string>),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
}

export const rpcBody = (method: string, params: unknown) => ({ jsonrpc: '2.0', id: 1, method, params });

/** Every way to use an agent. */
export const uses: Readonly<
  Record<string, (origin: string, agent: string, key: string | undefined) => Promise<Answered>>
> = {
  'JSON-RPC 1.0': (origin, agent, key) =>
    ask(`${origin}/agents/${agent}`, key, rpcBody('SendMessage', { message: userMessage('hi') })),
  'JSON-RPC 0.3': (origin, agent, key) =>
    ask(
      `${origin}/agents/${agent}`,
      key,
      rpcBody('message/send', {
        message: {
          kind: 'message',
          messageId: crypto.randomUUID(),
          role: 'user',
          parts: [{ kind: 'text', text: 'hi' }],
        },
      }),
      { headers: { 'a2a-version': '0.3' } },
    ),
  'JSON-RPC, reading': (origin, agent, key) => ask(`${origin}/agents/${agent}`, key, rpcBody('ListTasks', {})),
  'HTTP+JSON': (origin, agent, key) =>
    ask(`${origin}/agents/${agent}/message:send`, key, { message: userMessage('hi') }),
  'HTTP+JSON, reading': (origin, agent, key) => ask(`${origin}/agents/${agent}/tasks`, key),
  'HTTP+JSON, a stream': (origin, agent, key) =>
    ask(`${origin}/agents/${agent}/message:stream`, key, { message: userMessage('hi') }),
  OpenAI: (origin, agent, key) =>
    ask(`${origin}/v1/chat/completions`, key, { model: agent, messages: [{ role: 'user', content: 'hi' }] }),
  'OpenAI, one model': (origin, agent, key) => ask(`${origin}/v1/models/${agent}`, key),
  MCP: (origin, agent, key) =>
    ask(
      `${origin}/mcp`,
      key,
      { ...rpcBody('tools/call', { name: `ask_${agent}`, arguments: { message: 'hi' } }) },
      { headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' } },
    ),
};
