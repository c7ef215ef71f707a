import { setTimeout as sleep } from 'node:timers/promises';
import { type Announcement, errorMessage, HectorError, type Logger } from '../core/index.ts';
import type { ConsulClient } from './consul-client.ts';
import { refusedStatus } from './consul-errors.ts';
import { readEntry, textOf, writeRule } from './consul-read.ts';

/** Consul removes the key of a process that has died within twice this time. */
const ttl = '15s';
const beatMs = 5_000;
const retryMs = 1_000;
const farewellMs = 5_000;

/**
 * A key that is held by a session, and a session that is renewed. Every beat is complete in itself: it renews the session,
 * or creates another when that is gone, and puts the key where it is missing, is held by another session, or says something
 * else.
 */
export class ConsulAnnouncement implements Announcement {
  readonly #client: ConsulClient;
  readonly #key: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #text: string;
  #session: string | undefined;
  #wake = new AbortController();

  constructor(client: ConsulClient, key: string, text: string, logger: Logger) {
    this.#client = client;
    this.#key = key;
    this.#text = text;
    this.#logger = logger;
    this.#ended = this.#run();
  }

  update(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    this.#wake.abort();
  }

  /** Destroying the session removes the key. Where that cannot be said, the session expires. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    await this.#ended;
    const id = this.#session;
    this.#session = undefined;
    if (id === undefined) return;
    try {
      await this.#client.ask((api, ctx) => api.session.destroy({ id, ctx }), {
        needs: sessionRule,
        signal: AbortSignal.timeout(farewellMs),
      });
    } catch (error) {
      this.#logger.debug({ key: this.#key, error: errorMessage(error) }, 'The session in Consul is left to expire');
    }
  }

  async #run(): Promise<void> {
    let failing = false;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      let pause = beatMs;
      try {
        await this.#beat();
        failing = false;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        pause = retryMs;
        // Once for each time it goes wrong.
        if (!failing)
          this.#logger.warn(
            { key: this.#key, error: errorMessage(error) },
            'The announcement in Consul is not kept up',
          );
        failing = true;
      }
      await sleep(pause, undefined, { signal: this.#wake.signal }).catch(() => undefined);
    }
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stop;
    if (this.#session !== undefined && !(await this.#renewed(this.#session))) this.#session = undefined;
    this.#session ??= await this.#created();
    const [session, text] = [this.#session, this.#text];
    const entry = await readEntry(this.#client, this.#key, signal);
    if (entry?.Session === session && textOf(entry) === text) return;
    const [, held] = await this.#client.ask(
      (api, ctx) => api.kv.set({ key: this.#key, value: text, acquire: session, ctx }),
      { needs: writeRule(this.#key), signal },
    );
    if (!held)
      throw new HectorError(
        'conflict',
        `The key "${this.#key}" in Consul is held by another session, of a process that lives or has just died.`,
      );
  }

  async #renewed(id: string): Promise<boolean> {
    try {
      await this.#client.ask((api, ctx) => api.session.renew({ id, ctx }), {
        needs: sessionRule,
        signal: this.#stop.signal,
      });
      return true;
    } catch (error) {
      if (refusedStatus(error) === 404) return false;
      throw error;
    }
  }

  async #created(): Promise<string> {
    const [, { ID }] = await this.#client.ask(
      (api, ctx) =>
        api.session.create({
          name: `hector ${this.#key}`,
          ttl,
          behavior: 'delete',
          // With a delay the key could not be taken again for a while after a session was invalidated.
          lockdelay: '0s',
          // It lives by its own renewals, not by the health of the node that the agent runs on.
          checks: [],
          ctx,
        }),
      { needs: sessionRule, signal: this.#stop.signal },
    );
    return ID;
  }
}

const sessionRule = 'session_prefix "" { policy = "write" }';
