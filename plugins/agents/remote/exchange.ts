import type { SendMessageRequest, StreamResponse } from '@a2a-js/sdk';
import type { RequestOptions } from '@a2a-js/sdk/client';
import { interruptedStates, terminalStates } from '../../../core/index.ts';
import type { Endpoint } from './endpoint.ts';
import { clientFailure, failure, isRefusal, RemoteFailure, type Who } from './failure.ts';
import { pause, settledWithin } from './pause.ts';
import { type WireEvent, wireEvent } from './wire.ts';

export interface ExchangeOptions extends Who {
  readonly endpoint: Endpoint;
  readonly request: SendMessageRequest;
  /** The task at the other side that the message continues. */
  readonly taskId: string | undefined;
  readonly extensions: ReadonlySet<string>;
  /** Through how many agents the message has come, this one included. */
  readonly hops: number;
}

/** Before another try of what did not reach the other side. */
const resends = [250, 1_000];
/** Before the stream of a task is taken up again. Counted anew once it has brought something. */
const resumptions = [100, 1_000];
const polls = { firstMs: 250, mostMs: 5_000, failures: 2 };
const cancelMs = 5_000;

/**
 * One message and what comes of it: events until the task over there has ended or waits for us, or a message that answers.
 *
 * A stream that breaks off is taken up again, and where that cannot be the task is asked for until it has ended. The
 * message itself is sent again only where it cannot have arrived, and then under the same id.
 */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #wire = new AbortController();
  #taskId: string | undefined;
  #contextId: string | undefined;
  /** Whether the message has arrived: something came back. */
  #begun = false;
  #over = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#taskId = options.taskId;
  }

  /** Of the task over there, once it is known. */
  get taskId(): string | undefined {
    return this.#taskId;
  }

  get contextId(): string | undefined {
    return this.#contextId;
  }

  /** Whether nothing of it is going on over there any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Fails with a `RemoteFailure`. To be called once. */
  async *events(): AsyncGenerator<WireEvent> {
    const { endpoint } = this.#options;
    try {
      yield* this.#send();
    } catch (error) {
      if (!this.#canResume(error)) throw error;
    }
    if (this.#over) return;
    if (this.#taskId === undefined || !this.#begun)
      throw this.#failure('protocol', 'ended its answer before it had answered');
    if (endpoint.streams) yield* this.#resume();
    if (!this.#over) yield* this.#poll(this.#taskId);
  }

  /** Ends the talk, and the task over there if it is known by then. Fails where that could not be had. */
  async leave(pending: Promise<unknown>): Promise<void> {
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(this.#failure('silent', 'has not answered a cancellation')),
      cancelMs,
    );
    try {
      if (this.#taskId === undefined) await settledWithin(cancelMs / 2, pending);
      if (this.#taskId === undefined || this.#over) return;
      const { client } = this.#options.endpoint;
      const request = { id: this.#taskId, tenant: '', metadata: undefined };
      await this.#asked(() => client.cancelTask(request, this.#with(deadline.signal)));
    } finally {
      clearTimeout(timer);
      deadline.abort();
      this.#wire.abort(this.#failure('broken', 'is no longer listened to'));
    }
  }

  async *#send(): AsyncGenerator<WireEvent> {
    for (let attempt = 0; ; attempt++) {
      try {
        yield* this.#passed(this.#sent());
        return;
      } catch (error) {
        const pauseMs = resends[attempt];
        if (pauseMs === undefined || !(error instanceof RemoteFailure) || error.kind !== 'refused') throw error;
        await pause(pauseMs, this.#wire.signal);
      }
    }
  }

  #sent(): AsyncIterable<StreamResponse> {
    const { endpoint, request } = this.#options;
    return endpoint.client.sendMessageStream(request, this.#with(this.#wire.signal));
  }

  async *#resume(): AsyncGenerator<WireEvent> {
    const { client } = this.#options.endpoint;
    for (let attempt = 0; attempt < resumptions.length && !this.#over; attempt++) {
      await pause(resumptions[attempt] ?? 0, this.#wire.signal);
      try {
        const request = { id: this.#taskId ?? '', tenant: '' };
        for await (const event of this.#passed(client.resubscribeTask(request, this.#with(this.#wire.signal)))) {
          // The task itself comes each time; whatever follows it is progress.
          if (event.type !== 'task') attempt = -1;
          yield event;
        }
      } catch (error) {
        if (!this.#canResume(error) && !isRefusal(error)) throw error;
        // It has ended meanwhile, or cannot be subscribed to: then it can be asked for.
        if (isRefusal(error)) return;
      }
    }
  }

  async *#poll(id: string): AsyncGenerator<WireEvent> {
    const { client } = this.#options.endpoint;
    let failures = 0;
    for (let pauseMs = polls.firstMs; !this.#over; pauseMs = Math.min(pauseMs * 1.5, polls.mostMs)) {
      await pause(pauseMs, this.#wire.signal);
      try {
        const asked = { id, tenant: '', historyLength: undefined };
        const task = await this.#asked(() => client.getTask(asked, this.#with(this.#wire.signal)));
        failures = 0;
        yield this.#note({ payload: { $case: 'task', value: task } });
      } catch (error) {
        if (!this.#canResume(error) || ++failures > polls.failures) throw error;
      }
    }
  }

  async *#passed(responses: AsyncIterable<StreamResponse>): AsyncGenerator<WireEvent> {
    const iterator = responses[Symbol.asyncIterator]();
    let stale: WireEvent | undefined;
    try {
      while (!this.#over) {
        const { done, value } = await this.#asked(() => iterator.next());
        if (done) break;
        const first = !this.#begun;
        const event = this.#note(value);
        // A task that is continued may come as it was before it was: then more follows.
        if (first && this.#options.taskId !== undefined && waits(event)) {
          stale = event;
          this.#over = false;
          continue;
        }
        stale = undefined;
        yield event;
      }
      if (!stale) return;
      this.#over = true;
      yield stale;
    } finally {
      // Not awaited: a client that is waiting for the next event ends when that has come.
      void iterator.return?.().catch(() => undefined);
    }
  }

  #note(response: StreamResponse): WireEvent {
    const event = this.#read(response);
    this.#begun = true;
    if (event.type === 'message') {
      this.#contextId = event.message.contextId ?? this.#contextId;
      this.#over = true;
      return event;
    }
    const { id, contextId } = event.type === 'task' ? event.task : { id: event.taskId, contextId: event.contextId };
    this.#taskId ??= id || undefined;
    if (id && id !== this.#taskId)
      throw this.#failure('protocol', `answered with the task ${id}, which was not asked for`);
    this.#contextId = contextId || this.#contextId;
    const state = event.type === 'task' ? event.task.status.state : event.type === 'status' && event.status.state;
    this.#over = state !== false && (terminalStates.has(state) || interruptedStates.has(state));
    return event;
  }

  #read(response: StreamResponse): WireEvent {
    try {
      return wireEvent(response);
    } catch (error) {
      throw clientFailure(this.#options, this.#options.endpoint.host, error);
    }
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw clientFailure(this.#options, this.#options.endpoint.host, error);
    }
  }

  /** Whether what has begun may still go well. */
  #canResume(error: unknown): boolean {
    if (!this.#begun || this.#wire.signal.aborted || !(error instanceof RemoteFailure)) return false;
    return error.kind === 'broken' || error.kind === 'refused' || error.kind === 'too_large';
  }

  #with(signal: AbortSignal): RequestOptions {
    const { extensions, hops } = this.#options;
    const asked = extensions.size > 0 && { 'A2A-Extensions': [...extensions].join(',') };
    // Another Hector refuses what has come too far, so that agents in a circle come to an end.
    return { signal, serviceParameters: { 'X-Hector-Agent-Depth': String(hops), ...asked } };
  }

  #failure(kind: RemoteFailure['kind'], what: string): RemoteFailure {
    return failure(this.#options, kind, `${this.#options.endpoint.host} ${what}`);
  }
}

function waits(event: WireEvent): boolean {
  return event.type === 'task' && interruptedStates.has(event.task.status.state);
}
