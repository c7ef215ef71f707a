import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Announcement, errorMessage, type Logger } from '../core/index.ts';

/** One key in one store, for as long as it is announced. None of its methods is called while another is under way. */
export interface AnnouncedKey {
  /** Who holds it, for the log. */
  readonly store: string;
  readonly key: string;
  /** After so long it is kept again though nothing has called for it; without it, only when something does. */
  readonly beatMs?: number;
  /** How long to wait after so many failures in a row, one or more. */
  retryMs(failures: number): number;
  /** Complete in itself, whatever became of what was there: afterwards the store holds the text for this process. */
  keep(call: KeepCall): Promise<void>;
  /** The last call. Where it fails, the store removes the key by itself, later. */
  forget(): Promise<void>;
}

export interface KeepCall {
  /** The newest, which may be newer than when the call began. */
  text(): string;
  /** Has it kept again at once, now or later. */
  readonly wake: () => void;
  readonly signal: AbortSignal;
}

/** Those of one store. They end with it, or by themselves. */
export class StoreAnnouncements implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #living = new Set<Announcement>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  start(key: AnnouncedKey, text: string): Announcement {
    const announcement = new StoreAnnouncement(key, text, this.#logger, () => this.#living.delete(announcement));
    this.#living.add(announcement);
    return announcement;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#living].map((each) => each[Symbol.asyncDispose]()));
  }
}

class StoreAnnouncement implements Announcement {
  readonly #key: AnnouncedKey;
  readonly #logger: Logger;
  readonly #ended: () => void;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #text: string;
  #wake = new AbortController();
  #ending: Promise<void> | undefined;

  constructor(key: AnnouncedKey, text: string, logger: Logger, ended: () => void) {
    this.#key = key;
    this.#text = text;
    this.#logger = logger;
    this.#ended = ended;
    this.#running = this.#run();
  }

  update(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    this.#wake.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    await this.#running;
    const { store, key } = this.#key;
    try {
      await this.#key.forget();
    } catch (error) {
      this.#logger.debug({ key, error: errorMessage(error) }, `The announcement in ${store} is left to expire`);
    } finally {
      this.#ended();
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { store, key, beatMs } = this.#key;
    const call: KeepCall = { text: () => this.#text, wake: () => this.#wake.abort(), signal };
    let failures = 0;
    while (!signal.aborted) {
      // Whatever calls for it from here on, also while it is being kept, has it kept once more.
      this.#wake = new AbortController();
      try {
        await this.#key.keep(call);
        failures = 0;
        await pause(beatMs, this.#wake.signal);
      } catch (error) {
        if (signal.aborted) return;
        // What called for it meanwhile does not make the wait shorter, or one failure would call for the next.
        this.#wake = new AbortController();
        // Once for each time it goes wrong.
        if (failures === 0)
          this.#logger.warn({ key, error: errorMessage(error) }, `The announcement in ${store} is not kept up`);
        await pause(this.#key.retryMs(++failures), this.#wake.signal);
      }
    }
  }
}

/** Without a time, until it is woken. */
async function pause(ms: number | undefined, woken: AbortSignal): Promise<void> {
  if (ms !== undefined) await sleep(ms, undefined, { signal: woken }).catch(() => undefined);
  else if (!woken.aborted) await once(woken, 'abort');
}
