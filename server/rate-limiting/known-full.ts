import type { CounterStore } from '../../core/extension/counter-store.ts';
import { RecentMap } from '../../core/task/recent-map.ts';

/** For so long what is full is not asked about again; at most twice as long. */
const knownMs = 1_000;
const mostKnown = 10_000;

/**
 * The same counters, which are not asked again and again about one that was full a moment ago: who sends on in spite of refusals
 * costs the database nothing. A count never falls within its window, so it is only the limit that may have been raised.
 */
export function knowingFull(counters: CounterStore): CounterStore {
  const full = new RecentMap<string, number>(knownMs);
  return {
    async add(counter, amount, limit) {
      const place = `${counter.windowStart} ${counter.key}`;
      const known = limit === undefined ? undefined : full.get(place);
      if (known !== undefined && known + amount > (limit ?? 0)) return { count: known, allowed: false };
      const counted = await counters.add(counter, amount, limit);
      if (!counted.allowed) full.set(place, counted.count, mostKnown);
      return counted;
    },
    read: (counter) => counters.read(counter),
    prune: (endedBefore, signal) => counters.prune(endedBefore, signal),
  };
}
