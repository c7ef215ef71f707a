import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, HectorError } from '../errors.ts';
import type { ConfigDocument, ConfigProvider } from '../extension/config-provider.ts';
import type { Logger } from '../logger.ts';
import { attended } from './attended.ts';
import { Backoff } from './backoff.ts';

export interface ConnectionOptions {
  readonly provider: ConfigProvider;
  readonly source: string;
  readonly logger: Logger;
  /** How long the source may take to say its first word, in milliseconds. */
  readonly answerMs?: number;
  /** A source that has said nothing for so long is asked anew, whatever it believes of itself. */
  readonly silenceMs?: number;
  /** Something about the connection has changed. */
  onChange(): void;
}

/** A store that is back is found again within two seconds. */
const firstRetryMs = 250;
const mostRetryMs = 1_250;
/** A connection that lasts for so long, or brings something new, is one; else its loss is the same failure as before. */
const steadyMs = 5_000;
/** Of one outage, so many reasons are told. */
const mostReasons = 20;

/** The way to the source: calls `watch` again whenever it has failed, and knows whether the source can be reached. */
export class Connection {
  readonly #options: Required<ConnectionOptions>;
  #connected = false;
  #lastContact: Date | undefined;
  #error: string | undefined;
  /** Reasons that were told since the connection was steady last. */
  readonly #told = new Set<string>();
  #toldOfLoss = false;
  #revision: string | undefined;
  #anew = new AbortController();
  #awaiting: (() => void)[] = [];

  constructor(options: ConnectionOptions) {
    // Providers say something at least once a minute, and find out within half a minute that nobody answers.
    this.#options = { answerMs: 35_000, silenceMs: 150_000, ...options };
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

  /** The document as it is now. What goes wrong is thrown and not logged: whoever asked tells it. */
  async read(signal: AbortSignal, withinMs: number): Promise<ConfigDocument> {
    const { source } = this.#options;
    try {
      for await (const document of this.#watch(signal, withinMs)) {
        this.#reached();
        return document;
      }
      signal.throwIfAborted();
      throw new HectorError('config_unreadable', `The configuration ${source} cannot be read: its provider gave up.`);
    } catch (error) {
      // Who has stopped asking has learnt nothing about the source.
      if (signal.aborted) throw signal.reason;
      this.#lost(error);
      throw error;
    }
  }

  /**
   * Whoever follows begins anew; resolves when he has taken the first document, one that was there after this call. A source
   * that yields changes need not have seen what somebody else has read in between.
   */
  anew(): Promise<void> {
    return new Promise((resolve) => {
      this.#awaiting.push(resolve);
      this.#anew.abort();
    });
  }

  /** Every document that the source yields, until the signal aborts. Failures are waited out. */
  async *follow(signal: AbortSignal): AsyncGenerator<ConfigDocument> {
    const { source } = this.#options;
    const backoff = new Backoff(firstRetryMs, mostRetryMs);
    while (!signal.aborted) {
      let since: number | undefined;
      let news = false;
      this.#anew = new AbortController();
      const anew = this.#anew.signal;
      const awaiting = this.#awaiting.splice(0);
      try {
        for await (const document of this.#watch(AbortSignal.any([signal, anew]), this.#options.answerMs)) {
          since ??= performance.now();
          news ||= document.revision !== this.#revision;
          this.#revision = document.revision;
          this.#reached();
          yield document;
          for (const resolve of awaiting.splice(0)) resolve();
        }
        if (signal.aborted) return;
        if (anew.aborted) {
          this.#awaiting.push(...awaiting);
          continue;
        }
        throw new HectorError('config_unreadable', `The provider of ${source} stopped following it.`);
      } catch (error) {
        if (signal.aborted) return;
        this.#awaiting.push(...awaiting);
        if (anew.aborted) continue;
        if (news || (since !== undefined && performance.now() - since >= steadyMs)) {
          backoff.reset();
          this.#told.clear();
        }
        // Whether it can still be reached is for the next answer to say.
        if (error instanceof Silence && since !== undefined) continue;
        this.#lost(error);
        this.#tell(errorMessage(error));
        await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #watch(signal: AbortSignal, firstMs: number): AsyncGenerator<ConfigDocument> {
    const { provider, source, silenceMs } = this.#options;
    const late = () =>
      new Silence(`The configuration ${source} cannot be read: no answer within ${firstMs / 1_000} s.`);
    return attended((stop) => provider.watch(stop), { signal, firstMs, nextMs: silenceMs, late });
  }

  #reached(): void {
    const { logger, source, onChange } = this.#options;
    this.#lastContact = new Date();
    if (this.#connected) return;
    if (this.#toldOfLoss) logger.info({ source }, 'the configuration can be read again');
    this.#toldOfLoss = false;
    this.#connected = true;
    this.#error = undefined;
    onChange();
  }

  #lost(error: unknown): void {
    const message = errorMessage(error);
    const news = this.#connected || this.#error !== message;
    this.#connected = false;
    this.#error = message;
    if (news) this.#options.onChange();
  }

  /** Each reason once, however long it lasts and however often it comes back between others. */
  #tell(reason: string): void {
    const { logger, source } = this.#options;
    if (this.#told.has(reason) || this.#told.size >= mostReasons) return;
    this.#told.add(reason);
    this.#toldOfLoss = true;
    logger.warn({ source, reason }, 'the configuration cannot be reached: trying again');
  }
}

class Silence extends HectorError {
  constructor(message: string) {
    super('config_unreadable', message);
  }
}
