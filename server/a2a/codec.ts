import {
  Role,
  type Artifact as SdkArtifact,
  type Message as SdkMessage,
  type Part as SdkPart,
  type StreamResponse as SdkStreamResponse,
  type Task as SdkTask,
  TaskState as SdkTaskState,
  type TaskStatus as SdkTaskStatus,
} from '@a2a-js/sdk';
import type { Artifact, Message, Part, PartMetadata, Task, TaskState, TaskStatus } from '../../core/a2a.ts';
import type { TaskEvent } from '../../core/task/event.ts';

/**
 * Between the core's A2A objects, which are as they are on the wire, and the SDK's form of them in memory: numbers for
 * enumerations, `$case` for alternatives, every field present. Built by hand: it runs for every event of every stream.
 */

const states: Readonly<Record<TaskState, SdkTaskState>> = {
  TASK_STATE_SUBMITTED: SdkTaskState.TASK_STATE_SUBMITTED,
  TASK_STATE_WORKING: SdkTaskState.TASK_STATE_WORKING,
  TASK_STATE_COMPLETED: SdkTaskState.TASK_STATE_COMPLETED,
  TASK_STATE_FAILED: SdkTaskState.TASK_STATE_FAILED,
  TASK_STATE_CANCELED: SdkTaskState.TASK_STATE_CANCELED,
  TASK_STATE_INPUT_REQUIRED: SdkTaskState.TASK_STATE_INPUT_REQUIRED,
  TASK_STATE_REJECTED: SdkTaskState.TASK_STATE_REJECTED,
  TASK_STATE_AUTH_REQUIRED: SdkTaskState.TASK_STATE_AUTH_REQUIRED,
};

const stateNames = new Map(Object.entries(states).map(([name, state]) => [state, name as TaskState]));

/** `undefined` for the state that means "any" in a query. */
export function stateFromSdk(state: SdkTaskState): TaskState | undefined {
  return stateNames.get(state);
}

/** `historyLength`: absent, all of the history; 0, none; else as many of its last messages. */
export function taskToSdk(task: Task, historyLength?: number): SdkTask {
  return {
    id: task.id,
    contextId: task.contextId,
    status: statusToSdk(task.status),
    artifacts: task.artifacts.map(artifactToSdk),
    history: lastOf(task.history, historyLength).map(messageToSdk),
    metadata: task.metadata,
  };
}

export function eventToSdk(event: TaskEvent, historyLength?: number): SdkStreamResponse {
  switch (event.type) {
    case 'task':
      return { payload: { $case: 'task', value: taskToSdk(event.task, historyLength) } };
    case 'status': {
      const { taskId, contextId, status } = event;
      const value = { taskId, contextId, status: statusToSdk(status), metadata: undefined };
      return { payload: { $case: 'statusUpdate', value } };
    }
    case 'artifact': {
      const { taskId, contextId, artifact, append, lastChunk } = event;
      const value = { taskId, contextId, artifact: artifactToSdk(artifact), append, lastChunk, metadata: undefined };
      return { payload: { $case: 'artifactUpdate', value } };
    }
  }
}

/** A caller's message. Its form has been checked; see params.ts. */
export function messageFromSdk(message: SdkMessage): Message {
  const { messageId, contextId, taskId, metadata, extensions, referenceTaskIds } = message;
  return {
    messageId,
    role: 'ROLE_USER',
    parts: message.parts.map(partFromSdk),
    ...(contextId !== '' && { contextId }),
    ...(taskId !== '' && { taskId }),
    ...(metadata && { metadata }),
    ...(extensions.length > 0 && { extensions }),
    ...(referenceTaskIds.length > 0 && { referenceTaskIds }),
  };
}

function lastOf<T>(items: readonly T[], count: number | null | undefined): readonly T[] {
  if (count === undefined || count === null || count >= items.length) return items;
  return count === 0 ? [] : items.slice(-count);
}

function statusToSdk(status: TaskStatus): SdkTaskStatus {
  return {
    state: states[status.state],
    message: status.message && messageToSdk(status.message),
    timestamp: status.timestamp,
  };
}

function messageToSdk(message: Message): SdkMessage {
  return {
    messageId: message.messageId,
    contextId: message.contextId ?? '',
    taskId: message.taskId ?? '',
    role: message.role === 'ROLE_USER' ? Role.ROLE_USER : Role.ROLE_AGENT,
    parts: message.parts.map(partToSdk),
    metadata: message.metadata,
    extensions: (message.extensions ?? []) as string[],
    referenceTaskIds: (message.referenceTaskIds ?? []) as string[],
  };
}

function artifactToSdk(artifact: Artifact): SdkArtifact {
  return {
    artifactId: artifact.artifactId,
    name: artifact.name ?? '',
    description: artifact.description ?? '',
    parts: artifact.parts.map(partToSdk),
    metadata: artifact.metadata,
    extensions: [],
  };
}

function partToSdk(part: Part): SdkPart {
  return {
    content: contentToSdk(part),
    metadata: part.metadata,
    filename: part.filename ?? '',
    mediaType: part.mediaType ?? '',
  };
}

function contentToSdk(part: Part): SdkPart['content'] {
  if ('text' in part) return { $case: 'text', value: part.text };
  if ('raw' in part) return { $case: 'raw', value: Buffer.from(part.raw, 'base64') };
  if ('url' in part) return { $case: 'url', value: part.url };
  return { $case: 'data', value: part.data };
}

function partFromSdk({ content, metadata, filename, mediaType }: SdkPart): Part {
  const about: PartMetadata = {
    ...(metadata && { metadata }),
    ...(filename !== '' && { filename }),
    ...(mediaType !== '' && { mediaType }),
  };
  switch (content?.$case) {
    case 'text':
      return { text: content.value, ...about };
    case 'raw':
      return { raw: content.value.toString('base64'), ...about };
    case 'url':
      return { url: content.value, ...about };
    default:
      return { data: content?.value, ...about };
  }
}
