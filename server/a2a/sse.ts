import type { ServerResponse } from 'node:http';

/** Collected text goes out at the latest when it is this long. */
const chunkLength = 16 * 1024;

/**
 * A response that is a stream of server-sent events. What is sent within one turn of the event loop leaves in one write,
 * and while nothing is sent a comment goes out every `heartbeatMs`, so that no proxy takes the connection for dead (0: never).
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #heartbeat: NodeJS.Timeout | undefined;
  #pending = '';
  #scheduled = false;
  /** Whether the client lags behind: nothing more is to be sent before `drained`. */
  #full = false;

  constructor(response: ServerResponse, heartbeatMs: number) {
    this.#response = response;
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache',
      'X-Accel-Buffering': 'no',
    });
    this.#heartbeat = heartbeatMs > 0 ? setTimeout(() => this.#beat(), heartbeatMs) : undefined;
    response.once('close', () => clearTimeout(this.#heartbeat));
  }

  /** Whether the client is gone. */
  get closed(): boolean {
    return this.#response.closed || this.#response.destroyed;
  }

  get full(): boolean {
    return this.#full;
  }

  /** `id`: what the client names when it comes back after this frame. */
  send(frame: string, id?: string): void {
    this.#pending += id === undefined ? frame : `id: ${id}\n${frame}`;
    this.#heartbeat?.refresh();
    if (this.#pending.length >= chunkLength) {
      this.#flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      // Runs when every promise that is settled by now has been followed up, and so all that is ready has been collected.
      process.nextTick(this.#flushScheduled);
    }
  }

  readonly #flushScheduled = (): void => {
    this.#scheduled = false;
    this.#flush();
  };

  /** Resolves when the client has taken what was sent, or is gone. */
  async drained(): Promise<void> {
    if (!this.#full || this.closed) return;
    await new Promise<void>((resolve) => {
      const settle = () => {
        this.#response.off('drain', settle).off('close', settle);
        resolve();
      };
      this.#response.on('drain', settle).on('close', settle);
    });
    this.#full = false;
  }

  end(): void {
    clearTimeout(this.#heartbeat);
    if (!this.closed) this.#response.end(this.#pending);
    this.#pending = '';
  }

  #flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '' && !this.closed) this.#full = !this.#response.write(text);
  }

  /** None while the client lags behind: it has enough to read. */
  #beat(): void {
    if (!this.#full) this.send(':\n\n');
    else this.#heartbeat?.refresh();
  }
}
