import type { Agent, Dispatcher } from 'undici';
import { errorCode, errorMessage } from '../../core/errors.ts';
import { AddressGuard, type Resolve } from '../../core/net/address-guard.ts';
import { guardedAgent } from '../outbound/guarded-agent.ts';
import type { Notification } from './notification.ts';
import type { PushLimits, PushSettings } from './settings.ts';
import { Slots } from './slots.ts';

export type Attempt =
  | { readonly delivered: true }
  | {
      readonly delivered: false;
      /** For the log. Has nothing in it of the request. */
      readonly reason: string;
      /** Whether the same may go well later. */
      readonly again: boolean;
      /** How long the webhook asks to wait. */
      readonly retryAfterMs?: number;
    };

export interface CourierOptions {
  readonly limits: PushLimits;
  readonly resolve?: Resolve | undefined;
}

const connectMs = 10_000;
/** What is read of an answer's body, so that its connection can be used again; and for how long. */
const bodyBytes = 16 * 1024;
const bodyMs = 1_000;

/** Statuses below 500 after which the same request may go well. */
const passing = new Set([408, 425, 429]);

/** Brings notifications to webhooks: a fixed number at once, no redirects, no address that is not allowed. */
export class Courier {
  readonly #slots: Slots;
  readonly #guards: Readonly<Record<'private' | 'public', AddressGuard>>;
  readonly #agents = new Map<AddressGuard, Promise<Agent>>();

  constructor({ limits, resolve }: CourierOptions) {
    this.#slots = new Slots({ total: limits.deliveries, perLane: limits.deliveriesPerOrigin });
    this.#guards = {
      private: new AddressGuard({ allowPrivate: true, resolve }),
      public: new AddressGuard({ allowPrivate: false, resolve }),
    };
  }

  guard({ allowPrivate }: PushSettings): AddressGuard {
    return this.#guards[allowPrivate ? 'private' : 'public'];
  }

  /** Waits for its turn, then tries once. Rejects only when `signal` aborts. */
  async deliver(url: URL, what: Notification, settings: PushSettings, signal: AbortSignal): Promise<Attempt> {
    const agent = await this.#agent(this.guard(settings));
    return this.#slots.run(url.origin, signal, () => post(agent, url, what, settings.timeoutMs, signal));
  }

  /** Cuts what is under way. */
  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map(async (agent) => (await agent).destroy()));
  }

  #agent(guard: AddressGuard): Promise<Agent> {
    let agent = this.#agents.get(guard);
    if (!agent) {
      agent = guardedAgent({ guard, connectMs });
      this.#agents.set(guard, agent);
    }
    return agent;
  }
}

async function post(
  dispatcher: Agent,
  url: URL,
  { headers, body }: Notification,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const { request } = await import('undici');
  signal.throwIfAborted();
  const ending = new AbortController();
  const stop = () => ending.abort(signal.reason);
  const timer = setTimeout(() => ending.abort(), timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const answer = await request(url, {
      method: 'POST',
      headers: { ...headers },
      body,
      dispatcher,
      signal: ending.signal,
      // Its own clocks are coarse; this one is exact.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    clearTimeout(timer);
    await dropBody(answer.body, ending);
    return verdict(answer);
  } catch (error) {
    signal.throwIfAborted();
    if (ending.signal.aborted) return { delivered: false, reason: `it did not answer in ${timeoutMs} ms`, again: true };
    const code = errorCode(error);
    if (code === 'address_refused') return { delivered: false, reason: errorMessage(error), again: false };
    return { delivered: false, reason: code ?? errorMessage(error), again: true };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** The status has said it all: a body that is long or slow costs its connection, and nothing else. */
async function dropBody(body: Dispatcher.ResponseData['body'], ending: AbortController): Promise<void> {
  const timer = setTimeout(() => ending.abort(), bodyMs);
  try {
    await body.dump({ limit: bodyBytes, signal: ending.signal });
  } catch {
    body.destroy();
  } finally {
    clearTimeout(timer);
  }
}

function verdict({ statusCode, headers }: Dispatcher.ResponseData): Attempt {
  if (statusCode >= 200 && statusCode < 300) return { delivered: true };
  const reason = `it answered with status ${statusCode}`;
  if (statusCode >= 300 && statusCode < 400) {
    return { delivered: false, reason: `${reason}, and redirects are not followed`, again: false };
  }
  const again = statusCode >= 500 || passing.has(statusCode);
  const retryAfterMs = again ? retryAfter(headers['retry-after']) : undefined;
  return { delivered: false, reason, again, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** Seconds, or a date. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
