import { randomUUID } from 'node:crypto';
import { SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { type Client, ClientFactory } from '@a2a-js/sdk/client';
import type { Task as WireTask } from '../../core/a2a.ts';

/** The official client, as a user gets it: from the card. */
export function connect(url: string, agent?: string): Promise<Client> {
  const factory = new ClientFactory();
  return agent === undefined
    ? factory.createFromUrl(url)
    : factory.createFromUrl(`${url}/agents/${agent}/.well-known/agent-card.json`, '');
}

export interface Say {
  readonly contextId?: string;
  readonly taskId?: string;
  readonly messageId?: string;
}

export function userMessage(text: string, say: Say = {}) {
  return { messageId: say.messageId ?? randomUUID(), role: 'ROLE_USER', parts: [{ text }], ...say };
}

/** Sends and waits; the task as it is in JSON. */
export async function send(client: Client, text: string, say?: Say): Promise<WireTask> {
  const result = await client.sendMessage(SendMessageRequest.fromJSON({ message: userMessage(text, say) }));
  return Task.toJSON(result as Task) as WireTask;
}

type WireEvent = {
  task?: WireTask;
  statusUpdate?: { taskId: string; contextId: string; status: WireTask['status'] };
  artifactUpdate?: { taskId: string; artifact: WireTask['artifacts'][number]; append?: boolean; lastChunk?: boolean };
};

export async function* stream(client: Client, text: string, say?: Say): AsyncGenerator<WireEvent> {
  for await (const event of client.sendMessageStream(
    SendMessageRequest.fromJSON({ message: userMessage(text, say) }),
  )) {
    yield StreamResponse.toJSON(event) as WireEvent;
  }
}

/** The text of a task's answer. */
export function answer(task: WireTask): string {
  return (task.artifacts ?? [])
    .flatMap((artifact) => artifact.parts)
    .map((part) => ('text' in part ? part.text : ''))
    .join('');
}

/** The text of the answer in a stream's events. */
export function answerOf(events: readonly WireEvent[]): string {
  return events
    .flatMap((event) => event.artifactUpdate?.artifact.parts ?? [])
    .map((part) => ('text' in part ? part.text : ''))
    .join('');
}

export interface RpcAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly jsonrpc?: string;
    readonly id?: unknown;
    readonly result?: Record<string, unknown>;
    readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
  };
}

/** One JSON-RPC request without a client. `version`: of the header, none for 0.3. */
export async function rpc(
  url: string,
  method: string,
  params: unknown,
  { version, id = 1 }: { version?: string; id?: unknown } = {},
): Promise<RpcAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(version !== undefined && { 'a2a-version': version }) },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as RpcAnswer['body'] };
}
