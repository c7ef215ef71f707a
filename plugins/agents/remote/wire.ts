import { SendMessageRequest, StreamResponse } from '@a2a-js/sdk';
import {
  type AgentContext,
  type Artifact,
  interruptedStates,
  type Message,
  type Part,
  type TaskState,
  terminalStates,
} from '../../../core/index.ts';

/** What a status says. A state that is not known here counts as working. */
export interface WireStatus {
  readonly state: TaskState;
  readonly message: Message | undefined;
}

export interface WireTask {
  readonly id: string;
  readonly contextId: string;
  readonly status: WireStatus;
  readonly artifacts: readonly Artifact[];
  readonly history: readonly Message[];
}

/** What comes from the other side, in the form that it has in the core. */
export type WireEvent =
  | { readonly type: 'task'; readonly task: WireTask }
  | { readonly type: 'message'; readonly message: Message }
  | { readonly type: 'status'; readonly taskId: string; readonly contextId: string; readonly status: WireStatus }
  | {
      readonly type: 'artifact';
      readonly taskId: string;
      readonly contextId: string;
      readonly artifact: Artifact;
      readonly append: boolean;
    };

/** Empty fields are left out of JSON by the client. */
type Sparse<T> = { readonly [K in keyof T]?: T[K] };
type SparseMessage = Sparse<Message>;
type SparseArtifact = Sparse<Artifact>;
interface SparseStatus {
  readonly state?: string;
  readonly message?: SparseMessage;
}
interface SparseTask {
  readonly id?: string;
  readonly contextId?: string;
  readonly status?: SparseStatus;
  readonly artifacts?: readonly SparseArtifact[];
  readonly history?: readonly SparseMessage[];
}
interface SparseResponse {
  readonly task?: SparseTask;
  readonly message?: SparseMessage;
  readonly statusUpdate?: { readonly taskId?: string; readonly contextId?: string; readonly status?: SparseStatus };
  readonly artifactUpdate?: {
    readonly taskId?: string;
    readonly contextId?: string;
    readonly artifact?: SparseArtifact;
    readonly append?: boolean;
  };
}

/** Throws where it is none of the four that A2A knows. */
export function wireEvent(response: StreamResponse): WireEvent {
  const { task, message, statusUpdate, artifactUpdate } = StreamResponse.toJSON(response) as SparseResponse;
  if (task) return { type: 'task', task: taskOf(task) };
  if (message) return { type: 'message', message: messageOf(message) };
  if (statusUpdate) {
    const { taskId = '', contextId = '', status = {} } = statusUpdate;
    return { type: 'status', taskId, contextId, status: statusOf(status) };
  }
  if (artifactUpdate) {
    const { taskId = '', contextId = '', artifact = {}, append = false } = artifactUpdate;
    return { type: 'artifact', taskId, contextId, artifact: artifactOf(artifact), append };
  }
  throw new Error('an event that is no task, message, status or artifact');
}

function taskOf({ id = '', contextId = '', status = {}, artifacts = [], history = [] }: SparseTask): WireTask {
  if (id === '') throw new Error('a task without an id');
  return {
    id,
    contextId,
    status: statusOf(status),
    artifacts: artifacts.map(artifactOf),
    history: history.map(messageOf),
  };
}

function statusOf({ state = '', message }: SparseStatus): WireStatus {
  const known = terminalStates.has(state as TaskState) || interruptedStates.has(state as TaskState);
  return { state: known ? (state as TaskState) : 'TASK_STATE_WORKING', message: message && messageOf(message) };
}

function messageOf(message: SparseMessage): Message {
  return { messageId: '', role: 'ROLE_AGENT', ...message, parts: partsOf(message.parts) };
}

function artifactOf(artifact: SparseArtifact): Artifact {
  return { artifactId: 'artifact', ...artifact, parts: partsOf(artifact.parts) };
}

/** A part that holds nothing says nothing. */
function partsOf(parts: readonly Part[] = []): readonly Part[] {
  return parts.filter((part) => 'text' in part || 'raw' in part || 'url' in part || 'data' in part);
}

export interface Outgoing {
  readonly messageId: string;
  /** Goes before what the caller said. */
  readonly preface: string | undefined;
  readonly contextId: string | undefined;
  readonly taskId: string | undefined;
}

/** The caller's message, as it goes on. References to tasks of this Hector mean nothing elsewhere. */
export function sendRequest(message: Message, context: AgentContext, outgoing: Outgoing): SendMessageRequest {
  const { messageId, preface, contextId, taskId } = outgoing;
  const { metadata, extensions } = message;
  const preamble: readonly Part[] = preface === undefined ? [] : [{ text: preface }];
  return SendMessageRequest.fromJSON({
    message: {
      messageId,
      role: 'ROLE_USER',
      parts: [...preamble, ...message.parts],
      ...(contextId !== undefined && { contextId }),
      ...(taskId !== undefined && { taskId }),
      ...(metadata && { metadata }),
      ...(extensions && { extensions }),
    },
    configuration: { acceptedOutputModes: [...context.accepts] },
  });
}
