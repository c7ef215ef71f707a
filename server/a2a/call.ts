import type {
  AgentCard,
  CancelTaskRequest,
  GetTaskRequest,
  ListTasksRequest,
  ListTasksResponse,
  Task as SdkTask,
  SendMessageRequest,
  StreamResponse,
  SubscribeToTaskRequest,
} from '@a2a-js/sdk';
import {
  ExtendedAgentCardNotConfiguredError,
  PushNotificationNotSupportedError,
  UnsupportedOperationError,
} from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { ServedAgent } from '../../core/runtime/generation.ts';
import type { Executions, TaskCaller } from '../../core/task/executions.ts';
import type { TaskReader } from '../../core/task/reader.ts';
import type { RequestState } from '../state.ts';
import { eventToSdk, messageFromSdk, stateFromSdk, taskToSdk } from './codec.ts';
import {
  invalidParams,
  isProtocolError,
  isUnavailable,
  protocolError,
  taskNotFound,
  unsupportedMediaType,
} from './errors.ts';
import { refusedMediaType } from './media-type.ts';
import type { PushConfigs } from './push-configs.ts';

/** What the protocol needs of the task engine. */
export type TaskEngine = Pick<Executions, 'send' | 'get' | 'cancel' | 'subscribe' | 'list'>;

export interface CallOptions {
  readonly tasks: TaskEngine;
  readonly agent: ServedAgent;
  readonly state: RequestState;
  /** Aborts when the caller of a stream has gone. That ends its reading, never the task. Asked for by streams only. */
  readonly gone: () => AbortSignal;
  readonly card: () => Promise<AgentCard>;
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
  /** Of the event of a stream that was yielded last. */
  eventId: string | undefined;

  constructor(options: CallOptions) {
    this.#options = options;
  }

  getAgentCard(): Promise<AgentCard> {
    return this.#options.card();
  }

  sendMessage({ message, configuration }: SendMessageRequest): Promise<SdkTask> {
    return this.#answer(async () => {
      const reader = await this.#send(message, false);
      const task = configuration?.returnImmediately ? reader.task : await reader.settled();
      return taskToSdk(task, configuration?.historyLength);
    });
  }

  sendMessageStream({ message, configuration }: SendMessageRequest): EventGenerator {
    return this.#events(() => this.#send(message, true), configuration?.historyLength);
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
      const { contextId, pageToken, statusTimestampAfter, includeArtifacts, historyLength } = request;
      const state = stateFromSdk(request.status);
      const { items, nextPageToken } = await this.#options.tasks.list(this.#caller(), {
        pageSize: request.pageSize ?? defaultPageSize,
        ...(contextId !== '' && { contextId }),
        ...(pageToken !== '' && { pageToken }),
        ...(state && { state }),
        ...(statusTimestampAfter && { statusTimestampAfter }),
      });
      const tasks = items.map((task) => taskToSdk(includeArtifacts ? task : { ...task, artifacts: [] }, historyLength));
      // Stores do not count what they do not return. With more to come, the total is the least that it can be.
      const totalSize = tasks.length + (nextPageToken === undefined ? 0 : 1);
      return { tasks, nextPageToken: nextPageToken ?? '', pageSize: tasks.length, totalSize };
    });
  }

  async getAuthenticatedExtendedAgentCard(): Promise<never> {
    throw new ExtendedAgentCardNotConfiguredError('This agent has no extended card: its card says everything.');
  }

  async createTaskPushNotificationConfig(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async getTaskPushNotificationConfig(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async listTaskPushNotificationConfigs(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  async deleteTaskPushNotificationConfig(): Promise<never> {
    throw new PushNotificationNotSupportedError();
  }

  #send(sent: SendMessageRequest['message'], streaming: boolean): Promise<TaskReader> {
    if (!sent) throw invalidParams('message', 'is missing');
    const { tasks, agent, state } = this.#options;
    const message = messageFromSdk(sent);
    message.parts.forEach((part, at) => {
      const refused = refusedMediaType(part, agent.config.input_modes);
      if (refused !== undefined) throw unsupportedMediaType(`message.parts[${at}]`, refused, agent.config.input_modes);
    });
    const { lease, principal, requestId } = state;
    return tasks.send({ lease, agent, message, principal, streaming, requestId });
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
