import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { errorCode, errorMessage } from '../errors.ts';
import { attributes as names } from './names.ts';

export interface Tracing {
  readonly tracer: Tracer;
  /** Whether what is said may be in spans: messages, arguments, results. */
  readonly payloads: boolean;
}

export interface WorkOptions {
  readonly kind?: 'internal' | 'client' | 'server';
  readonly attributes?: Attributes;
  /** Another trace, linked to where it was begun: the work may go on when that is over. */
  readonly apart?: boolean;
  /** Headers that say of which trace it is part. */
  readonly from?: Readonly<Record<string, unknown>>;
}

let tracing: Tracing | undefined;

/** From now on there are spans; without, nothing here costs more than a look. */
export function trackWork(next: Tracing | undefined): void {
  tracing = next;
}

const kinds = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT, server: SpanKind.SERVER };
const maxPayload = 16 * 1024;

/** A piece of work that a trace tells of: a span, and the context in which what is done for it runs. */
export class Work {
  readonly #span: Span;
  readonly #context: Context;
  readonly #payloads: boolean;
  #ended = false;

  private constructor(span: Span, parent: Context, payloads: boolean) {
    this.#span = span;
    this.#context = trace.setSpan(parent, span);
    this.#payloads = payloads;
  }

  /** `undefined` where there is no tracing, and within a trace that nobody keeps: its first span is all that it needs. */
  static begin(name: string, { kind = 'internal', attributes, apart, from }: WorkOptions = {}): Work | undefined {
    if (!tracing) return undefined;
    const { tracer, payloads } = tracing;
    if (!from && !apart && isDropped(trace.getSpanContext(context.active()))) return undefined;
    const active = from ? propagation.extract(context.active(), from, headerGetter) : context.active();
    const origin = apart ? trace.getSpanContext(active) : undefined;
    const options = { kind: kinds[kind], ...(attributes && { attributes }) };
    const parent = apart ? ROOT_CONTEXT : active;
    const span = tracer.startSpan(name, { ...options, ...(origin && { links: [{ context: origin }] }) }, parent);
    return new Work(span, parent, payloads);
  }

  /** What is awaited is the work. */
  static async run<T>(name: string, options: WorkOptions, run: () => Promise<T>): Promise<T> {
    const work = Work.begin(name, options);
    if (!work) return run();
    try {
      return await work.within(run);
    } catch (error) {
      work.failed(error);
      throw error;
    } finally {
      work.end();
    }
  }

  /** What `run` does, also later, is part of this work. */
  within<T>(run: () => T): T {
    return context.with(this.#context, run);
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  /** What was said, where that may be told; at most 16 KiB of it. */
  payload(name: string, value: () => unknown): void {
    if (!this.#payloads || !this.#span.isRecording()) return;
    const text = JSON.stringify(value()) ?? '';
    this.#span.setAttribute(name, text.length > maxPayload ? `${text.slice(0, maxPayload)}…` : text);
  }

  failed(error: unknown): void {
    this.#span.setAttribute(names.errorType, errorTypeOf(error));
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessage(error) });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#span.end();
  }
}

function isDropped(parent: SpanContext | undefined): boolean {
  return parent !== undefined && (parent.traceFlags & TraceFlags.SAMPLED) === 0;
}

/** A name for an error that a label can hold: its code, else what kind of error it is. */
export function errorTypeOf(error: unknown): string {
  return errorCode(error) ?? (error instanceof Error ? error.name : 'unknown');
}

/** What the next service needs to know to be part of the trace; nothing where there is none. */
export function traceHeaders(): Readonly<Record<string, string>> | undefined {
  if (!tracing) return undefined;
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

const none = {};

/** Of the work that the caller is part of: for a line of the log. */
export function traceIds(): { readonly trace_id?: string; readonly span_id?: string } {
  const ids = tracing && trace.getSpanContext(context.active());
  return ids ? { trace_id: ids.traceId, span_id: ids.spanId } : none;
}

const headerGetter: TextMapGetter<Readonly<Record<string, unknown>>> = {
  keys: (headers) => Object.keys(headers),
  get(headers, key) {
    const value = headers[key];
    return typeof value === 'string' ? value : undefined;
  },
};
