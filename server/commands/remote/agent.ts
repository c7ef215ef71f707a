import {
  GetTaskRequest,
  ListTasksRequest,
  ListTasksResponse,
  type Message,
  SendMessageRequest,
  StreamResponse,
  SubscribeToTaskRequest,
  Task,
} from '@a2a-js/sdk';
import {
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
  ServiceParameters,
  withA2AExtensions,
} from '@a2a-js/sdk/client';
import type { Part } from '../../../core/a2a.ts';
import { toolCallsExtension } from '../../../core/extension/protocol-extensions.ts';
import type { FoundCard } from './card.ts';
import { sentence } from './failure.ts';
import type { WireEvent, WireTask } from './wire.ts';

/** What is said to an agent. */
export interface Outgoing {
  readonly messageId: string;
  readonly parts: readonly Part[];
  readonly contextId?: string | undefined;
  /** The task that waits for it. */
  readonly taskId?: string | undefined;
}

export interface TaskQuery {
  readonly contextId?: string | undefined;
  readonly status?: string | undefined;
  readonly pageSize: number;
  readonly pageToken?: string | undefined;
}

export interface TaskPage {
  readonly tasks: readonly WireTask[];
  /** '' on the last page. */
  readonly nextPageToken: string;
  readonly totalSize: number;
}

/** An agent on any A2A server, of either version of the protocol. Everything it throws is a sentence; see `sentence`. */
export interface RemoteAgent {
  /** As `--agent` takes it. */
  readonly name: string;
  readonly title: string;
  /** Where requests go. */
  readonly url: string;
  readonly version: string;
  /** `JSONRPC` or `HTTP+JSON`. */
  readonly binding: string;
  readonly streaming: boolean;
  stream(message: Outgoing, signal: AbortSignal): AsyncIterable<WireEvent>;
  /** Returns as soon as the agent has begun, unless the server knows no such thing. */
  send(message: Outgoing, signal: AbortSignal): Promise<WireEvent>;
  subscribe(taskId: string, signal: AbortSignal): AsyncIterable<WireEvent>;
  task(id: string, signal: AbortSignal, historyLength?: number): Promise<WireTask>;
  tasks(query: TaskQuery, signal: AbortSignal): Promise<TaskPage>;
  cancel(id: string, signal: AbortSignal): Promise<WireTask>;
}

export async function connect({ name, card }: FoundCard, fetch: typeof globalThis.fetch): Promise<RemoteAgent> {
  const legacyCompat = { enabled: true };
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({ fetchImpl: fetch, legacyCompat }),
      new RestTransportFactory({ fetchImpl: fetch, legacyCompat }),
    ],
    // The card is in the form of the SDK already, and would lose by being read again.
    cardResolver: { resolve: () => Promise.reject(new Error('the card is known')), normalizeAgentCard: () => card },
  });
  const client = await factory.createFromAgentCard(card);
  const binding = client.transport.protocolName;
  const chosen = card.supportedInterfaces.filter(
    (each) => each.protocolBinding.toUpperCase() === binding.toUpperCase(),
  );
  const { url = '' } = chosen.find(({ protocolVersion }) => protocolVersion === '1.0') ?? chosen[0] ?? {};
  const options = (signal: AbortSignal) => ({
    signal,
    // Agents of Hector tell of their tool calls then; others leave it alone.
    serviceParameters: ServiceParameters.create(withA2AExtensions(toolCallsExtension)),
  });
  const where = { name, url };
  const said = async <T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      throw sentence(error, where, signal);
    }
  };
  async function* events(source: AsyncIterable<StreamResponse>, signal: AbortSignal): AsyncGenerator<WireEvent> {
    try {
      for await (const event of source) yield StreamResponse.toJSON(event) as WireEvent;
    } catch (error) {
      throw sentence(error, where, signal);
    }
  }
  return {
    name,
    title: card.name || name,
    url,
    version: client.protocolVersion,
    binding,
    streaming: card.capabilities?.streaming === true,
    stream: (message, signal) => events(client.sendMessageStream(requestOf(message), options(signal)), signal),
    send: (message, signal) =>
      said(async () => {
        const request = requestOf(message);
        const configuration = {
          acceptedOutputModes: [],
          taskPushNotificationConfig: undefined,
          returnImmediately: true,
        };
        const result = await client.sendMessage({ ...request, configuration }, options(signal));
        return StreamResponse.toJSON({ payload: payloadOf(result) }) as WireEvent;
      }, signal),
    subscribe: (id, signal) =>
      events(client.resubscribeTask(SubscribeToTaskRequest.fromJSON({ id }), options(signal)), signal),
    task: (id, signal, historyLength) =>
      said(async () => {
        const request = GetTaskRequest.fromJSON({ id, ...(historyLength !== undefined && { historyLength }) });
        return Task.toJSON(await client.getTask(request, options(signal))) as WireTask;
      }, signal),
    tasks: ({ contextId, status, pageSize, pageToken }, signal) =>
      said(async () => {
        const request = ListTasksRequest.fromJSON({
          pageSize,
          historyLength: 1,
          ...(contextId !== undefined && { contextId }),
          ...(status !== undefined && { status }),
          ...(pageToken !== undefined && { pageToken }),
        });
        const page = await client.listTasks(request, options(signal));
        const { tasks = [] } = ListTasksResponse.toJSON(page) as { tasks?: WireTask[] };
        return { tasks, nextPageToken: page.nextPageToken, totalSize: page.totalSize };
      }, signal),
    cancel: (id, signal) =>
      said(
        async () =>
          Task.toJSON(await client.cancelTask({ id, tenant: '', metadata: undefined }, options(signal))) as WireTask,
        signal,
      ),
  };
}

function requestOf({ messageId, parts, contextId, taskId }: Outgoing): SendMessageRequest {
  return SendMessageRequest.fromJSON({
    message: {
      messageId,
      role: 'ROLE_USER',
      parts,
      ...(contextId !== undefined && { contextId }),
      ...(taskId !== undefined && { taskId }),
    },
  });
}

function payloadOf(result: Task | Message): NonNullable<StreamResponse['payload']> {
  return 'messageId' in result ? { $case: 'message', value: result } : { $case: 'task', value: result };
}
