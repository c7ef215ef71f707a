import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, tokenLength } from './answer.ts';
import type { Call } from './call.ts';

/** What one event adds to the answer. `whole` replaces what came before it; `completed` is the protocol's word for a good end. */
export interface Piece {
  readonly text?: string;
  readonly whole?: boolean;
  readonly completed?: boolean;
}

export type Dialect = (data: string) => Piece;

const nothing: Piece = {};

export const openai: Dialect = (data) => {
  if (data === '[DONE]') return { completed: true };
  const chunk = JSON.parse(data) as { choices: { delta: { content?: string } }[] };
  const text = chunk.choices[0]?.delta.content;
  return text === undefined ? nothing : { text };
};

interface StreamResponse {
  readonly error?: unknown;
  readonly result?: {
    readonly task?: { readonly status: { readonly state: string } };
    readonly artifactUpdate?: {
      readonly artifact: { readonly parts: readonly { readonly text?: string }[] };
      readonly append?: boolean;
    };
    readonly statusUpdate?: { readonly status: { readonly state: string } };
  };
}

export const a2a: Dialect = (data) => {
  const { result } = JSON.parse(data) as StreamResponse;
  if (result?.artifactUpdate) {
    const { artifact, append } = result.artifactUpdate;
    return { text: artifact.parts.map((part) => part.text ?? '').join(''), whole: append !== true };
  }
  const state = result?.statusUpdate?.status.state ?? result?.task?.status.state;
  if (state === undefined || state === 'TASK_STATE_FAILED') throw new Error(data.slice(0, 300));
  return state === 'TASK_STATE_COMPLETED' ? { completed: true } : nothing;
};

export interface StreamOptions {
  readonly count: number;
  /** The streams are opened evenly over so many milliseconds. */
  readonly ramp: number;
  /** Of the answer that each stream must carry, whole and in order. */
  readonly tokens: number;
  /** A stream that takes longer has failed. */
  readonly timeout: number;
}

/** Streams under way. The counters are live. */
export interface Streams {
  readonly count: number;
  /** Streams that have had their first token. */
  readonly begun: number;
  readonly ended: number;
  readonly tokens: number;
  /** What went wrong, each with how often. */
  readonly errors: ReadonlyMap<string, number>;
  readonly finished: Promise<void>;
}

class OpenStreams implements Streams {
  readonly count: number;
  readonly errors = new Map<string, number>();
  readonly finished: Promise<void>;
  begun = 0;
  ended = 0;
  tokens = 0;

  constructor(call: Call, dialect: Dialect, options: StreamOptions) {
    this.count = options.count;
    this.finished = this.#open(call, dialect, options);
  }

  async #open(call: Call, dialect: Dialect, { count, ramp, tokens, timeout }: StreamOptions): Promise<void> {
    const agent = new http.Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
    const began = performance.now();
    const streams: Promise<void>[] = [];
    for (let index = 0; index < count; index++) {
      const wait = began + (index * ramp) / count - performance.now();
      if (wait > 1) await sleep(wait);
      streams.push(
        this.#one(call, dialect, answer(tokens), agent, AbortSignal.timeout(timeout)).catch((error: unknown) => {
          const reason =
            (error as Error).name === 'AbortError' ? `not over after ${timeout / 1_000} s` : (error as Error).message;
          this.errors.set(reason, (this.errors.get(reason) ?? 0) + 1);
        }),
      );
    }
    await Promise.all(streams);
    agent.destroy();
  }

  #one(call: Call, dialect: Dialect, expected: string, agent: http.Agent, signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const { url, method, headers } = call;
      const request = http.request(url, { method, headers, agent, signal }, (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          reject(new Error(`HTTP ${response.statusCode}`));
          return;
        }
        let rest = '';
        let at = 0;
        let begun = false;
        let completed = false;
        const take = (piece: Piece) => {
          completed ||= piece.completed === true;
          if (!piece.text) return;
          if (!begun) this.begun++;
          begun = true;
          if (piece.whole) {
            this.tokens -= at / tokenLength;
            at = 0;
          }
          if (!expected.startsWith(piece.text, at)) throw new Error(`wrong text after ${at / tokenLength} tokens`);
          at += piece.text.length;
          this.tokens += piece.text.length / tokenLength;
        };
        response.setEncoding('latin1');
        response.on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop() as string;
          try {
            for (const line of lines) if (line.startsWith('data:')) take(dialect(line.slice(5).trim()));
          } catch (error) {
            response.destroy(error as Error);
          }
        });
        response.once('error', reject);
        response.once('end', () => {
          if (at !== expected.length)
            reject(new Error(`${at / tokenLength} of ${expected.length / tokenLength} tokens`));
          else if (!completed) reject(new Error('the stream ended without saying that it was complete'));
          else resolve();
        });
      });
      request.once('error', reject);
      request.end(call.body?.replaceAll('[<id>]', randomUUID()));
    }).finally(() => this.ended++);
  }
}

export const openStreams = (call: Call, dialect: Dialect, options: StreamOptions): Streams =>
  new OpenStreams(call, dialect, options);
