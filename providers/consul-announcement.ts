import { HectorError } from '../core/index.ts';
import type { ConsulClient } from './consul-client.ts';
import { refusedStatus } from './consul-errors.ts';
import { readEntry, textOf, writeRule } from './consul-read.ts';
import type { AnnouncedKey, KeepCall } from './store-announcement.ts';

/** Consul removes the key of a process that has died within twice this time. */
const ttl = '15s';
const farewellMs = 5_000;

/**
 * A key that is held by a session, and a session that is renewed, or created anew when it is gone. The key is put where it is
 * missing, is held by another session, or says something else.
 */
export class ConsulAnnouncement implements AnnouncedKey {
  readonly store = 'Consul';
  readonly beatMs = 5_000;
  readonly key: string;
  readonly #client: ConsulClient;
  #session: string | undefined;

  constructor(client: ConsulClient, key: string) {
    this.#client = client;
    this.key = key;
  }

  retryMs(): number {
    return 1_000;
  }

  async keep({ text: current, signal }: KeepCall): Promise<void> {
    if (this.#session !== undefined && !(await this.#renewed(this.#session, signal))) this.#session = undefined;
    this.#session ??= await this.#created(signal);
    const [session, text] = [this.#session, current()];
    const entry = await readEntry(this.#client, this.key, signal);
    if (entry?.Session === session && textOf(entry) === text) return;
    const [, held] = await this.#client.ask(
      (api, ctx) => api.kv.set({ key: this.key, value: text, acquire: session, ctx }),
      { needs: writeRule(this.key), signal },
    );
    if (!held)
      throw new HectorError(
        'conflict',
        `The key "${this.key}" in Consul is held by another session, of a process that lives or has just died.`,
      );
  }

  /** Destroying the session removes the key. */
  async forget(): Promise<void> {
    const id = this.#session;
    if (id === undefined) return;
    await this.#client.ask((api, ctx) => api.session.destroy({ id, ctx }), {
      needs: sessionRule,
      signal: AbortSignal.timeout(farewellMs),
    });
  }

  async #renewed(id: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#client.ask((api, ctx) => api.session.renew({ id, ctx }), { needs: sessionRule, signal });
      return true;
    } catch (error) {
      if (refusedStatus(error) === 404) return false;
      throw error;
    }
  }

  async #created(signal: AbortSignal): Promise<string> {
    const [, { ID }] = await this.#client.ask(
      (api, ctx) =>
        api.session.create({
          name: `hector ${this.key}`,
          ttl,
          behavior: 'delete',
          // With a delay the key could not be taken again for a while after a session was invalidated.
          lockdelay: '0s',
          // It lives by its own renewals, not by the health of the node that the agent runs on.
          checks: [],
          ctx,
        }),
      { needs: sessionRule, signal },
    );
    return ID;
  }
}

const sessionRule = 'session_prefix "" { policy = "write" }';
