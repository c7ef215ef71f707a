import type { Middleware } from 'koa';
import type { CounterStore } from '../../core/extension/counter-store.ts';
import type { Logger } from '../../core/logger.ts';
import type { GenerationContents } from '../../core/runtime/generation.ts';
import type { RequestState } from '../state.ts';
import { knowingFull } from './known-full.ts';
import { MemoryCounters } from './memory-counters.ts';
import { Outages } from './outages.ts';
import { RequestMeter } from './request-meter.ts';

/** Gives each request what its messages to agents are counted with. What is counted in memory stays over a reload. */
export function rateLimiting(logger: Logger): Middleware<RequestState> {
  const memory = new MemoryCounters();
  const outages = new Outages(logger);
  const databases = new WeakMap<CounterStore, CounterStore>();
  return function rateLimiting(ctx, next) {
    const { contents } = ctx.state.lease.generation;
    const rules = contents.config.rate_limiting;
    if (!rules?.enabled) return next();
    const counters = rules.backend === 'memory' ? memory : shared(contents, databases);
    ctx.state.meter = new RequestMeter({ ctx, rules, counters, outages });
    return next();
  };
}

function shared({ counters }: GenerationContents, known: WeakMap<CounterStore, CounterStore>): CounterStore {
  if (!counters) throw new Error('rate_limiting counts in a database, and the generation has none');
  let knowing = known.get(counters);
  if (!knowing) {
    knowing = knowingFull(counters);
    known.set(counters, knowing);
  }
  return knowing;
}
