import type { Dispatcher } from 'undici';

/** Bytes that may wait for a slow reader before the socket is told to pause. */
const highWater = 64 * 1024;

/** The bytes of an answer, for one reader. Leaving early closes the socket. */
export class AnswerBody implements AsyncIterableIterator<Buffer> {
  readonly #controller: Dispatcher.DispatchController;
  readonly #limit: number;
  readonly #tooLarge: () => void;
  readonly #cancel: () => void;
  #chunks: Buffer[] = [];
  #queued = 0;
  #received = 0;
  #ended = false;
  #error: unknown;
  #waiting: { resolve(result: IteratorResult<Buffer, undefined>): void; reject(error: unknown): void } | undefined;

  constructor(controller: Dispatcher.DispatchController, limit: number, tooLarge: () => void, cancel: () => void) {
    this.#controller = controller;
    this.#limit = limit;
    this.#tooLarge = tooLarge;
    this.#cancel = cancel;
  }

  push(chunk: Buffer): void {
    if (this.#ended) return;
    this.#received += chunk.length;
    if (this.#received > this.#limit) {
      this.#tooLarge();
      return;
    }
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued > highWater) this.#controller.pause();
  }

  end(): void {
    this.#ended = true;
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#chunks = [];
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const value = this.#chunks.shift();
    if (value) {
      this.#queued -= value.length;
      if (this.#controller.paused && this.#queued <= highWater) this.#controller.resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    await this.cancel();
    return { done: true, value: undefined };
  }

  async cancel(): Promise<void> {
    if (this.#ended) return;
    this.end();
    this.#cancel();
  }

  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this) chunks.push(chunk);
    return (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('utf8');
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
