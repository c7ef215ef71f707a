import type { RateLimit, RateLimiting } from '../../core/config/language/rate-limiting.ts';
import type { Counter, CounterStore } from '../../core/extension/counter-store.ts';
import type { Usage } from '../../core/message.ts';
import type { Generation } from '../../core/runtime/generation.ts';
import type { Meter } from '../../core/task/requests.ts';
import type { Context } from '../request.ts';
import { identityOf } from './identity.ts';
import type { Outages } from './outages.ts';
import { exceeded, isLimited, unavailable } from './refusals.ts';
import { type Window, windowAt, windowNames } from './windows.ts';

export interface RequestMeterOptions {
  readonly ctx: Pick<Context, 'req' | 'res' | 'state'>;
  readonly rules: RateLimiting;
  readonly counters: CounterStore;
  readonly outages: Outages;
}

/** A limit in the window that is now. */
interface Ruling {
  readonly limit: RateLimit;
  readonly window: Window;
  readonly counter: Counter;
}

interface Standing extends Ruling {
  readonly remaining: number;
}

/**
 * Counts one request to an agent, and what it costs, against the limits of the generation that serves it.
 *
 * Tokens are looked at before, and charged when it is known how many they were: so the last message of a window may go over.
 * Shorter windows are charged first: who is refused by the minute has lost nothing of his day.
 */
export class RequestMeter implements Meter {
  readonly #rules: RateLimiting;
  readonly #counters: CounterStore;
  readonly #outages: Outages;
  readonly #generation: Generation;
  /** Let go of when the message is admitted: a task outlives its request, and must not keep it. */
  #ctx: RequestMeterOptions['ctx'] | undefined;
  /** A request is one message, of one context. */
  #identity: string | undefined;

  constructor({ ctx, rules, counters, outages }: RequestMeterOptions) {
    this.#ctx = ctx;
    this.#rules = rules;
    this.#counters = counters;
    this.#outages = outages;
    this.#generation = ctx.state.lease.generation;
  }

  async admit(contextId: string): Promise<void> {
    try {
      if (this.#ctx) this.#identity ??= identityOf(this.#ctx, this.#rules.scope, contextId);
      await this.#charge();
      this.#outages.over(this.#counters);
    } catch (error) {
      if (isLimited(error)) throw error;
      this.#outages.began(this.#counters, error);
      if (this.#rules.on_error === 'refuse') throw unavailable(error);
    } finally {
      this.#ctx = undefined;
    }
  }

  spent({ inputTokens, outputTokens }: Usage): void {
    const tokens = Math.ceil(inputTokens + outputTokens);
    const rulings = this.#rulings('token', Date.now());
    if (tokens < 1 || rulings.length === 0 || this.#generation.disposed) return;
    // What counts must not be closed before it has.
    const lease = this.#generation.lease('counting tokens');
    Promise.all(rulings.map(({ counter }) => this.#counters.add(counter, tokens)))
      .then(
        () => this.#outages.over(this.#counters),
        (error: unknown) => this.#outages.began(this.#counters, error),
      )
      .finally(() => lease.release());
  }

  async #charge(): Promise<void> {
    const counters = this.#counters;
    const now = Date.now();
    const standings: Standing[] = [];
    const refuse = (ruling: Ruling) => {
      this.#tell({ ...ruling, remaining: 0 });
      throw exceeded(ruling.limit, ruling.window, now);
    };
    for (const ruling of this.#rulings('token', now)) {
      const remaining = ruling.limit.limit - (await counters.read(ruling.counter));
      if (remaining <= 0) refuse(ruling);
      standings.push({ ...ruling, remaining });
    }
    for (const ruling of this.#rulings('count', now)) {
      const { count, allowed } = await counters.add(ruling.counter, 1, ruling.limit.limit);
      if (!allowed) refuse(ruling);
      standings.push({ ...ruling, remaining: ruling.limit.limit - count });
    }
    if (standings.length > 0) this.#tell(standings.reduce((one, other) => (share(other) < share(one) ? other : one)));
  }

  #rulings(type: RateLimit['type'], now: number): readonly Ruling[] {
    const limits = limitsOf(this.#rules)[type];
    return limits.map((limit) => {
      const window = windowAt(limit.window, now);
      const key = `${type} ${limit.window} ${this.#identity}`;
      return { limit, window, counter: { key, windowStart: window.start, windowEnd: window.end } };
    });
  }

  /** Where the answer has begun it is too late for headers. */
  #tell({ limit: { limit }, remaining, window: { end } }: Standing): void {
    const res = this.#ctx?.res;
    if (!res || res.headersSent) return;
    res.setHeader('X-RateLimit-Limit', String(limit));
    res.setHeader('X-RateLimit-Remaining', String(remaining));
    res.setHeader('X-RateLimit-Reset', String(end / 1_000));
  }
}

const share = ({ remaining, limit }: Standing) => remaining / limit.limit;

type Limits = Readonly<Record<RateLimit['type'], readonly RateLimit[]>>;

const known = new WeakMap<RateLimiting, Limits>();

/** Shortest window first. */
function limitsOf(rules: RateLimiting): Limits {
  let limits = known.get(rules);
  if (!limits) {
    const sorted = rules.limits.toSorted(
      (one, other) => windowNames.indexOf(one.window) - windowNames.indexOf(other.window),
    );
    const of = (type: RateLimit['type']) => sorted.filter((limit) => limit.type === type);
    limits = { count: of('count'), token: of('token') };
    known.set(rules, limits);
  }
  return limits;
}
