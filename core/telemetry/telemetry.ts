import type { Usage } from '../message.ts';

/** What became of a piece of work. */
export type Outcome = 'success' | 'error' | 'canceled';

interface Ended<S> {
  readonly status: S;
  readonly seconds: number;
  /** The code of the error, where the status is `error`. */
  readonly errorType?: string | undefined;
}

/** One message that an agent was asked to work on, over or waiting for its caller. */
export interface AgentRequest extends Ended<Outcome | 'input_required'> {
  readonly agent: string;
}

/** One question to a model, however many attempts it took. */
export interface ModelCall extends Ended<Outcome> {
  readonly agent: string;
  readonly provider: string;
  readonly model: string;
  /** Until the first event of the answer. */
  readonly firstSeconds?: number | undefined;
  readonly usage?: Usage | undefined;
}

export interface ToolCall extends Ended<Outcome> {
  readonly agent: string;
  readonly tool: string;
}

export interface StorageCall extends Ended<Outcome> {
  /** The driver: `postgres`. */
  readonly backend: string;
  /** `tasks.get` */
  readonly operation: string;
}

/** Whoever counts the work that the core does. Told when a piece of it is over; never throws. */
export interface Telemetry {
  agentAsked(request: AgentRequest): void;
  modelAsked(call: ModelCall): void;
  toolCalled(call: ToolCall): void;
  storageAsked(call: StorageCall): void;
}

export const noTelemetry: Telemetry = {
  agentAsked: () => {},
  modelAsked: () => {},
  toolCalled: () => {},
  storageAsked: () => {},
};
