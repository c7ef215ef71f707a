import type { Part } from '../../../core/a2a.ts';

/** What servers send, as it is in JSON in A2A 1.0, whatever version they speak: other people's data, of which anything may be missing. */
export interface WireMessage {
  readonly messageId?: string;
  readonly contextId?: string;
  readonly taskId?: string;
  readonly role?: string;
  readonly parts?: readonly Part[];
}

export interface WireStatus {
  readonly state?: string;
  readonly message?: WireMessage;
  readonly timestamp?: string;
}

export interface WireArtifact {
  readonly artifactId?: string;
  readonly name?: string;
  readonly parts?: readonly Part[];
}

export interface WireTask {
  readonly id: string;
  readonly contextId?: string;
  readonly status?: WireStatus;
  readonly artifacts?: readonly WireArtifact[];
  readonly history?: readonly WireMessage[];
}

/** One of the four. */
export interface WireEvent {
  readonly task?: WireTask;
  readonly message?: WireMessage;
  readonly statusUpdate?: { readonly taskId?: string; readonly contextId?: string; readonly status?: WireStatus };
  readonly artifactUpdate?: {
    readonly taskId?: string;
    readonly contextId?: string;
    readonly artifact?: WireArtifact;
    readonly append?: boolean;
  };
}

/** The state that an event tells of. */
export function stateIn({ task, statusUpdate }: WireEvent): string | undefined {
  return (task ?? statusUpdate)?.status?.state;
}

export function textOf(parts: readonly Part[] | undefined): string {
  return (parts ?? []).map((part) => ('text' in part ? part.text : '')).join('');
}

/** `input-required`: a state as people read it. */
export function stateName(state: string | undefined): string {
  return state === undefined
    ? 'unknown'
    : state
        .replace(/^TASK_STATE_/, '')
        .toLowerCase()
        .replaceAll('_', '-');
}
