import type { Agent, Dispatcher } from 'undici';
import { errorCode, errorMessage } from '../../core/errors.ts';
import { AddressGuard, nearKinds, type Resolve } from '../../core/net/address-guard.ts';
import { guardedAgent } from '../../core/net/guarded-agent.ts';
import { OutboundRules } from '../../core/net/outbound-rules.ts';
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
const maxWays = 16;
/** What is read of an answer's body, so that its connection can be used again; and for how long. */
const bodyBytes = 16 * 1024;
const bodyMs = 1_000;

/** Statuses below 500 after which the same request may go well. */
const passing = new Set([408, 425, 429]);

/** Brings notifications to webhooks: a fixed number at once, no redirects, no address that is not allowed. */
export class Courier {
  readonly #slots: Slots;
  readonly #resolve: Resolve | undefined;
  /** By what the configuration says of where webhooks may be: the last few that there were. */
  readonly #ways = new Map<string, Way>();

  constructor({ limits, resolve }: CourierOptions) {
    this.#slots = new Slots({ total: limits.deliveries, perLane: limits.deliveriesPerOrigin });
    this.#resolve = resolve;
  }

  guard(settings: PushSettings): AddressGuard {
    return this.#way(settings).guard;
  }

  /** Waits for its turn, then tries once. Rejects only when `signal` aborts. */
  async deliver(url: URL, what: Notification, settings: PushSettings, signal: AbortSignal): Promise<Attempt> {
    const way = this.#way(settings);
    way.agent ??= guardedAgent({ guardOf: () => way.guard, connectMs });
    const agent = await way.agent;
    return this.#slots.run(url.origin, signal, () => post(agent, url, what, settings.timeoutMs, signal));
  }

  /** Cuts what is under way. */
  async close(): Promise<void> {
    const ways = [...this.#ways.values()];
    this.#ways.clear();
    await Promise.all(ways.map(async ({ agent }) => (await agent)?.destroy()));
  }

  #way({ allowPrivate, allow }: PushSettings): Way {
    const key = JSON.stringify([allowPrivate, allow]);
    const known = this.#ways.get(key);
    if (known) return known;
    const rules = new OutboundRules(allow);
    const guard = new AddressGuard({ rules, resolve: this.#resolve, ...(allowPrivate && { kinds: nearKinds }) });
    const way: Way = { guard, agent: undefined };
    this.#ways.set(key, way);
    const [oldest] = this.#ways;
    if (oldest && this.#ways.size > maxWays) {
      this.#ways.delete(oldest[0]);
      // What is under way there ends in its time.
      void oldest[1].agent?.then((agent) => agent.close());
    }
    return way;
  }
}

interface Way {
  readonly guard: AddressGuard;
  agent: Promise<Agent> | undefined;
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
    });
    clearTimeout(timer);
    await dropBody(answer.body, ending);
    return verdict(answer);
  } catch (error) {
    signal.throwIfAborted();
    if (ending.signal.aborted) return { delivered: false, reason: `it did not answer in ${timeoutMs} ms`, again: true };
    const code = errorCode(error);
    if (code === 'outbound_refused') return { delivered: false, reason: errorMessage(error), again: false };
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
