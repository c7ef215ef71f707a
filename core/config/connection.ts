import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, HectorError } from '../errors.ts';
import type { ConfigDocument, ConfigProvider } from '../extension/config-provider.ts';
import type { Logger } from '../logger.ts';
import { Backoff } from './backoff.ts';

export interface ConnectionOptions {
  readonly provider: ConfigProvider;
  readonly source: string;
  readonly logger: Logger;
  /** Something about the connection has changed. */
  onChange(): void;
}

/** A store that is back is found again within two seconds. */
const firstRetryMs = 250;
const mostRetryMs = 1_250;

/** The way to the source: calls `watch` again whenever it has failed, and knows whether the source can be reached. */
export class Connection {
  readonly #options: ConnectionOptions;
  #connected = false;
  #lastContact: Date | undefined;
  #error: string | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get lastContact(): Date | undefined {
    return this.#lastContact;
  }

  /** Why the source cannot be reached; `undefined` while it can, or before that is known. */
  get error(): string | undefined {
    return this.#error;
  }

  /** The document as it is now. */
  async read(signal: AbortSignal): Promise<ConfigDocument> {
    const { provider, source } = this.#options;
    const done = new AbortController();
    try {
      for await (const document of provider.watch(AbortSignal.any([signal, done.signal]))) {
        this.#reached();
        return document;
      }
      signal.throwIfAborted();
    } catch (error) {
      this.#lost(signal.aborted ? signal.reason : error);
      throw error;
    } finally {
      done.abort();
    }
    throw new HectorError('config_unreadable', `The configuration ${source} cannot be read: its provider gave up.`);
  }

  /** Every document that the source yields, until the signal aborts. Failures are waited out. */
  async *follow(signal: AbortSignal): AsyncGenerator<ConfigDocument> {
    const { provider, source, logger } = this.#options;
    const backoff = new Backoff(firstRetryMs, mostRetryMs);
    while (!signal.aborted) {
      try {
        for await (const document of provider.watch(signal)) {
          this.#reached();
          backoff.reset();
          yield document;
        }
        if (signal.aborted) return;
        throw new HectorError('config_unreadable', 'its provider stopped following it');
      } catch (error) {
        if (signal.aborted) return;
        // Told once for each reason, however long it lasts.
        if (this.#lost(error))
          logger.warn({ source, reason: errorMessage(error) }, 'the configuration cannot be reached: trying again');
        await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #reached(): void {
    const { logger, source, onChange } = this.#options;
    this.#lastContact = new Date();
    if (this.#connected) return;
    if (this.#error !== undefined) logger.info({ source }, 'the configuration can be read again');
    this.#connected = true;
    this.#error = undefined;
    onChange();
  }

  #lost(error: unknown): boolean {
    const message = errorMessage(error);
    const news = this.#error !== message;
    this.#connected = false;
    this.#error = message;
    if (news) this.#options.onChange();
    return news;
  }
}
