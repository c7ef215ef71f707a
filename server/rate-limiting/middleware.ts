import type { Middleware } from 'koa';
import type { RateLimiting } from '../../core/config/language/rate-limiting.ts';
import type { CounterStore } from '../../core/extension/counter-store.ts';
import type { GenerationContents } from '../../core/runtime/generation.ts';
import type { RequestState } from '../state.ts';
import { MemoryCounters } from './memory-counters.ts';
import { Outages } from './outages.ts';
import { RequestMeter } from './request-meter.ts';

/** Gives each request what its messages to agents are counted with. What is counted in memory stays over a reload. */
export function rateLimiting(): Middleware<RequestState> {
  const memory = new MemoryCounters();
  const outages = new Outages();
  return function rateLimiting(ctx, next) {
    const { contents } = ctx.state.lease.generation;
    const rules = contents.config.rate_limiting;
    if (!rules?.enabled) return next();
    const counters = countersOf(contents, rules, memory);
    ctx.state.meter = new RequestMeter({
      ctx,
      rules,
      counters,
      onAway: (error) => outages.began(counters, error, ctx.state.logger),
      onBack: () => outages.over(counters, ctx.state.logger),
    });
    return next();
  };
}

function countersOf({ counters }: GenerationContents, { backend }: RateLimiting, memory: CounterStore): CounterStore {
  if (backend === 'memory') return memory;
  if (!counters) throw new Error('rate_limiting counts in a database, and the generation has none');
  return counters;
}
