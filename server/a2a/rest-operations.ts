import {
  AgentCard,
  CancelTaskRequest,
  DeleteTaskPushNotificationConfigRequest,
  GetTaskPushNotificationConfigRequest,
  GetTaskRequest,
  ListTaskPushNotificationConfigsRequest,
  ListTaskPushNotificationConfigsResponse,
  ListTasksRequest,
  ListTasksResponse,
  SendMessageRequest,
  SendMessageResponse,
  type StreamResponse,
  SubscribeToTaskRequest,
  Task,
  TaskPushNotificationConfig,
} from '@a2a-js/sdk';
import type { Call } from './call.ts';
import { type Method, methods } from './params.ts';
import type { Resource } from './rest-path.ts';
import type { Fields } from './shape.ts';

/** Where the parameters are that are not in the path. A `maybe` body may be left out. */
type Input = 'body' | 'maybe body' | 'query';

interface Common {
  /** How the parameters must look. */
  readonly method: Method;
  readonly input: Input;
  /** What the ids of the path are called. */
  readonly ids: readonly string[];
}

export interface Answering extends Common {
  /** Of a success; 204 has no content. */
  readonly status: 200 | 201 | 204;
  answer(call: Call, params: Fields): Promise<object>;
}

export interface Streaming extends Common {
  events(call: Call, params: Fields): AsyncGenerator<StreamResponse, void, undefined>;
}

export type Operation = Answering | Streaming;

/** The operation for each resource and HTTP method. */
export const operations: Readonly<Record<Resource, Readonly<Record<string, Operation>>>> = {
  send: {
    POST: answering('SendMessage', 'body', [], async (call, params) => {
      const task = await call.sendMessage(SendMessageRequest.fromJSON(params));
      return SendMessageResponse.toJSON({ payload: { $case: 'task', value: task } });
    }),
  },
  stream: {
    POST: {
      ...common('SendStreamingMessage', 'body', []),
      events: (call, params) => call.sendMessageStream(SendMessageRequest.fromJSON(params)),
    },
  },
  extendedCard: {
    GET: answering('GetExtendedAgentCard', 'query', [], async (call) =>
      AgentCard.toJSON(await call.getAuthenticatedExtendedAgentCard()),
    ),
  },
  tasks: {
    GET: answering('ListTasks', 'query', [], async (call, params) => {
      const request = ListTasksRequest.fromJSON(params);
      const response = await call.listTasks(request);
      const tasks = response.tasks.map((task) => ({
        ...(request.includeArtifacts && { artifacts: [] }),
        ...(Task.toJSON(task) as object),
      }));
      // What is zero or empty is said all the same, unlike in the JSON form of Protocol Buffers.
      const { nextPageToken, pageSize, totalSize } = response;
      return {
        ...(ListTasksResponse.toJSON({ ...response, tasks: [] }) as object),
        tasks,
        nextPageToken,
        pageSize,
        totalSize,
      };
    }),
  },
  task: {
    GET: answering('GetTask', 'query', ['id'], async (call, params) =>
      Task.toJSON(await call.getTask(GetTaskRequest.fromJSON(params))),
    ),
  },
  cancel: {
    POST: answering('CancelTask', 'maybe body', ['id'], async (call, params) =>
      Task.toJSON(await call.cancelTask(CancelTaskRequest.fromJSON(params))),
    ),
  },
  subscribe: {
    GET: { ...common('SubscribeToTask', 'query', ['id']), events: subscribe },
    POST: { ...common('SubscribeToTask', 'maybe body', ['id']), events: subscribe },
  },
  webhooks: {
    POST: {
      ...answering('CreateTaskPushNotificationConfig', 'body', ['taskId'], async (call, params) =>
        TaskPushNotificationConfig.toJSON(
          await call.createTaskPushNotificationConfig(TaskPushNotificationConfig.fromJSON(params)),
        ),
      ),
      status: 201,
    },
    GET: answering('ListTaskPushNotificationConfigs', 'query', ['taskId'], async (call, params) => {
      const request = ListTaskPushNotificationConfigsRequest.fromJSON(params);
      const response = await call.listTaskPushNotificationConfigs(request);
      const json = ListTaskPushNotificationConfigsResponse.toJSON(response) as object;
      return { configs: [], nextPageToken: '', ...json };
    }),
  },
  webhook: {
    GET: answering('GetTaskPushNotificationConfig', 'query', ['taskId', 'id'], async (call, params) =>
      TaskPushNotificationConfig.toJSON(
        await call.getTaskPushNotificationConfig(GetTaskPushNotificationConfigRequest.fromJSON(params)),
      ),
    ),
    DELETE: {
      ...answering('DeleteTaskPushNotificationConfig', 'query', ['taskId', 'id'], async (call, params) => {
        const request = DeleteTaskPushNotificationConfigRequest.fromJSON(params);
        await call.deleteTaskPushNotificationConfig(request);
      }),
      status: 204,
    },
  },
};

function subscribe(call: Call, params: Fields): AsyncGenerator<StreamResponse, void, undefined> {
  return call.resubscribe(SubscribeToTaskRequest.fromJSON(params));
}

function common(name: string, input: Input, ids: readonly string[]): Common {
  const method = methods.get(name);
  if (!method) throw new Error(`There is no method "${name}"`);
  return { method, input, ids };
}

function answering(
  name: string,
  input: Input,
  ids: readonly string[],
  answer: (call: Call, params: Fields) => Promise<unknown>,
): Answering {
  return {
    ...common(name, input, ids),
    status: 200,
    answer: async (call, params) => ((await answer(call, params)) ?? {}) as object,
  };
}
