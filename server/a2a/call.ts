import {
  AgentCard,
  type CancelTaskRequest,
  type DeleteTaskPushNotificationConfigRequest,
  type GetTaskPushNotificationConfigRequest,
  type GetTaskRequest,
  type ListTaskPushNotificationConfigsRequest,
  type ListTaskPushNotificationConfigsResponse,
  type ListTasksRequest,
  type ListTasksResponse,
  type Task as SdkTask,
  type SendMessageRequest,
  type StreamResponse,
  type SubscribeToTaskRequest,
  type TaskPushNotificationConfig,
} from '@a2a-js/sdk';
import { ExtendedAgentCardNotConfiguredError, UnsupportedOperationError } from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import type { Executions, TaskCaller } from '../../core/task/executions.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import { isAuthenticated } from '../authorization.ts';
import { HttpError } from '../http-error.ts';
import { unauthenticated } from '../middleware/authenticate.ts';
import type { RequestState } from '../state.ts';
import { hasExtendedCard } from './card.ts';
import { eventToSdk, messageFromSdk, stateFromSdk, taskToSdk } from './codec.ts';
import {
  invalidParams,
  isProtocolError,
  isUnavailable,
  protocolError,
  taskNotFound,
  unacceptableOutput,
  unsupportedMediaType,
} from './errors.ts';
import { refusedMediaType, shareMediaType } from './media-type.ts';
import { readPageToken, writePageToken } from './page-token.ts';
import type { PushConfigs } from './push-configs.ts';
import { TaskWebhooks } from './task-webhooks.ts';
import type { ProtocolVersion } from './version.ts';

/** What the protocol needs of the task engine. */
export type TaskEngine = Pick<Executions, 'send' | 'get' | 'cancel' | 'subscribe' | 'list'>;

export interface CallOptions {
  readonly tasks: TaskEngine;
  readonly agent: ServedAgent;
  readonly state: RequestState;
  readonly version: ProtocolVersion;
  /** URIs of the protocol extensions that the caller asks for and the agent knows. */
  readonly extensions: ReadonlySet<string>;
  /** Through how many agents the request came. */
  readonly hops: number;
  /** Aborts when the caller of a stream has gone. That ends its reading, never the task. Asked for by streams only. */
  readonly gone: () => AbortSignal;
  readonly card: () => Promise<AgentCard>;
  /** The extended card, in JSON. Asked for where the agent has one and the caller may have it. */
  readonly extendedCard: () => Promise<string>;
  /** Absent: this server sends no push notifications. */
  readonly push?: PushConfigs | undefined;
  /** The id of the last event that the caller of a stream has. */
  readonly lastEventId?: string | undefined;
}

type EventGenerator = AsyncGenerator<StreamResponse, void, undefined>;

const defaultPageSize = 50;

/** One request to one agent, as the SDK's transports want it answered. Parameters have been checked; see params.ts. */
export class Call implements A2ARequestHandler {
  readonly #options: CallOptions;
  /** The HTTP status of an answer that is an error; 200 unless the server is to blame. */
  status: 200 | 500 | 503 = 200;
  /** What HTTP has an answer of its own for: it takes the place of the protocol's. */
  refusal: HttpError | undefined;
  /** Of the event of a stream that was yielded last. */
  eventId: string | undefined;
  /** Of a stream whose caller has some of it already: resolves when there is something to go on with. */
  readonly resumed: Promise<void> | undefined;
  #resume = () => {};

  constructor(options: CallOptions) {
    this.#options = options;
    if (options.lastEventId === undefined) return;
    this.resumed = new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  getAgentCard(): Promise<AgentCard> {
    return this.#options.card();
  }

  sendMessage({ message, configuration }: SendMessageRequest): Promise<SdkTask> {
    return this.#answer(async () => {
      const reader = await this.#send(message, configuration, false);
      if (configuration?.returnImmediately) await reader.recorded?.();
      const task = configuration?.returnImmediately ? reader.task : await reader.settled();
      return taskToSdk(task, configuration?.historyLength);
    });
  }

  sendMessageStream({ message, configuration }: SendMessageRequest): EventGenerator {
    return this.#events(() => this.#send(message, configuration, true), configuration?.historyLength);
  }

  resubscribe({ id }: SubscribeToTaskRequest): EventGenerator {
    return this.#events(() => this.#options.tasks.subscribe(this.#caller(), id, this.#options.lastEventId));
  }

  getTask({ id, historyLength }: GetTaskRequest): Promise<SdkTask> {
    return this.#answer(async () => {
      const task = await this.#options.tasks.get(this.#caller(), id);
      if (!task) throw taskNotFound(id);
      return taskToSdk(task, historyLength);
    });
  }

  cancelTask({ id }: CancelTaskRequest): Promise<SdkTask> {
    return this.#answer(async () => taskToSdk(await this.#options.tasks.cancel(this.#caller(), id)));
  }

  listTasks(request: ListTasksRequest): Promise<ListTasksResponse> {
    return this.#answer(async () => {
      const { contextId, statusTimestampAfter, includeArtifacts, historyLength } = request;
      const pageSize = request.pageSize ?? defaultPageSize;
      const state = stateFromSdk(request.status);
      const before = readPageToken(request.pageToken);
      const { items, nextPageToken } = await this.#options.tasks.list(this.#caller(), {
        pageSize,
        artifacts: includeArtifacts === true,
        ...(contextId !== '' && { contextId }),
        ...(before.token !== undefined && { pageToken: before.token }),
        ...(state && { state }),
        ...(statusTimestampAfter && { statusTimestampAfter }),
      });
      const tasks = items.map((task) => taskToSdk(includeArtifacts ? task : { ...task, artifacts: [] }, historyLength));
      const seen = before.seen + tasks.length;
      // Stores do not count what they do not return. With more to come, the total is the least that it can be.
      const totalSize = nextPageToken === undefined ? seen : seen + 1;
      return { tasks, nextPageToken: writePageToken({ seen, token: nextPageToken }), pageSize, totalSize };
    });
  }

  getAuthenticatedExtendedAgentCard(): Promise<AgentCard> {
    return this.#answer(async () => {
      const { agent, state, version } = this.#options;
      const { contents } = state.lease.generation;
      if (!hasExtendedCard(agent, contents)) {
        throw new ExtendedAgentCardNotConfiguredError('This agent has no extended card: its card says everything.');
      }
      if (!isAuthenticated(state)) throw unauthenticated(contents.authSchemes, false);
      const card = AgentCard.fromJSON(JSON.parse(await this.#options.extendedCard()));
      // A signature is for the form of 1.0: of another form it would prove nothing.
      return version === '1.0' ? card : { ...card, signatures: [] };
    });
  }

  createTaskPushNotificationConfig(config: TaskPushNotificationConfig): Promise<TaskPushNotificationConfig> {
    return this.#answer(() => this.#webhooks.create(config));
  }

  getTaskPushNotificationConfig(request: GetTaskPushNotificationConfigRequest): Promise<TaskPushNotificationConfig> {
    return this.#answer(() => this.#webhooks.get(request));
  }

  listTaskPushNotificationConfigs(
    request: ListTaskPushNotificationConfigsRequest,
  ): Promise<ListTaskPushNotificationConfigsResponse> {
    return this.#answer(() => this.#webhooks.list(request));
  }

  deleteTaskPushNotificationConfig(request: DeleteTaskPushNotificationConfigRequest): Promise<void> {
    return this.#answer(() => this.#webhooks.delete(request));
  }

  async #send(
    sent: SendMessageRequest['message'],
    configuration: SendMessageRequest['configuration'],
    streaming: boolean,
  ): Promise<TaskReader> {
    if (!sent) throw invalidParams('message', 'is missing');
    const { tasks, agent, state, extensions, hops } = this.#options;
    const { input_modes, output_modes } = agent.config;
    const message = messageFromSdk(sent);
    message.parts.forEach((part, at) => {
      const refused = refusedMediaType(part, input_modes);
      if (refused !== undefined) throw unsupportedMediaType(`message.parts[${at}]`, refused, input_modes);
    });
    const accepts = configuration?.acceptedOutputModes ?? [];
    if (accepts.length > 0 && !shareMediaType(accepts, output_modes)) throw unacceptableOutput(accepts, output_modes);
    const { lease, principal, requestId, meter } = state;
    const detached = !streaming && configuration?.returnImmediately === true;
    const asked = { message, streaming, accepts, extensions, hops, detached, meter };
    const request = { lease, agent, principal, requestId, ...asked };
    const send = () => tasks.send(request);
    const webhook = configuration?.taskPushNotificationConfig;
    return webhook ? this.#webhooks.sendWith(webhook, message, send) : send();
  }

  get #webhooks(): TaskWebhooks {
    const { push, version, tasks } = this.#options;
    return new TaskWebhooks({ push, version, tasks, caller: () => this.#caller() });
  }

  #caller(): TaskCaller {
    const { agent, state } = this.#options;
    return { owner: state.principal.subject, agent: agent.name, lease: state.lease };
  }

  async #answer<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Ending it ends the reading. Nothing that happens to a reader happens to the task. */
  async *#events(open: () => Promise<TaskReader>, historyLength?: number): EventGenerator {
    try {
      const { agent, gone, lastEventId } = this.#options;
      if (!agent.config.streaming) {
        throw new UnsupportedOperationError(`Agent "${agent.name}" does not stream; use SendMessage and GetTask.`);
      }
      const reader = await open();
      await reader.recorded?.();
      this.#resume();
      for await (const event of reader.events(gone(), lastEventId)) {
        this.eventId = event.id;
        yield eventToSdk(event, historyLength);
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** What the caller is told. Only the log learns what went wrong inside. */
  #failure(error: unknown): Error {
    const { state, agent } = this.#options;
    const known = isProtocolError(error) ? error : protocolError(error);
    if (known) return known;
    if (error instanceof HttpError) {
      this.refusal = error;
      return error;
    }
    if (isUnavailable(error)) {
      this.status = 503;
      return error as Error;
    }
    this.status = 500;
    state.logger.error({ err: error, agent: agent.name }, 'an A2A request failed');
    return new Error(
      `Something went wrong inside Hector. Its log tells what, under the request id ${state.requestId}.`,
    );
  }
}
