import { setTimeout as sleep } from 'node:timers/promises';
import { HectorError } from '../core/index.ts';
import type { ConsulClient } from './consul-client.ts';
import { type ConsulRead, readState } from './consul-read.ts';
import type { StoreState } from './store.ts';

/** Two questions are never nearer to each other, whatever the agent answers and how soon. */
const spacingMs = 100;
/** While the agent is silent it is asked so often whether it is there. */
const probeMs = 10_000;
/** And may take so long to say so; both together are less than half a minute. */
const probeTimeoutMs = 10_000;
/** When there was nothing to tell for so long, the next probe reads the state anew, and that is told. */
const contactMs = 30_000;

/**
 * The state as it is now, and whenever it has changed, by blocking queries. Throws at the first error: whoever begins again
 * begins without an index, so that nothing of before can be mistaken for now.
 *
 * A query that waits for a change looks the same as one whose agent is gone. So while it waits, a second connection asks
 * for the leader; that finds an agent that hangs, a network that swallows everything, and a cluster without a leader. That
 * only the waiting connection is dead (a router has forgotten it) is found by TCP's own keep-alive. And every half minute
 * the second connection reads the state, so that no change is missed for long that a query was not woken for.
 */
export async function* followState(
  client: ConsulClient,
  key: string,
  waitMs: number,
  signal: AbortSignal,
): AsyncGenerator<StoreState> {
  let waiting = new AbortController();
  const abort = () => waiting.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let index = 0n;
  let last: StoreState | undefined;
  let told = performance.now();
  let query: Promise<ConsulRead> | undefined;
  const isDue = () => performance.now() - told >= contactMs;
  const probe = (signal: AbortSignal) =>
    isDue() ? readState(client, key, { signal, timeoutMs: probeTimeoutMs }) : checkLeader(client, signal);
  try {
    while (!signal.aborted) {
      const asked = performance.now();
      waiting = new AbortController();
      query = readState(client, key, { signal: waiting.signal, newerThan: index, waitMs });
      for (;;) {
        const { read, answered } = await hear(query, probe, waiting.signal);
        // That it answers is no proof of a change; neither is an index that has gone up.
        if (read && (!last || isDue() || !equal(read.state, last))) {
          last = read.state;
          told = performance.now();
          yield last;
        }
        if (answered && read) {
          index = nextIndex(index, read.index, performance.now() - asked < waitMs);
          break;
        }
        if (read && read.index < index) {
          index = 0n;
          break;
        }
      }
      waiting.abort();
      await query.catch(() => undefined);
      const early = asked + spacingMs - performance.now();
      if (early > 0) await sleep(early, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    waiting.abort();
    await query?.catch(() => undefined);
  }
}

/**
 * From where the next query waits; 0: not at all. An index that goes back is from another history (a snapshot was restored),
 * where the old one may never come. When that happens, what was waiting is answered before its time, with what was there
 * before: the same index, too early, is the only sign of it.
 */
function nextIndex(asked: bigint, answered: bigint, early: boolean): bigint {
  return answered < asked || (answered === asked && early) ? 0n : answered;
}

interface Heard {
  /** Of the query, or of a probe that has read the state. */
  readonly read: ConsulRead | undefined;
  /** By the query itself. */
  readonly answered: boolean;
}

/** What the query answers or, while it is silent, the next probe. Throws when that finds nobody. */
async function hear(
  query: Promise<ConsulRead>,
  probe: (signal: AbortSignal) => Promise<ConsulRead | undefined>,
  signal: AbortSignal,
): Promise<Heard> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const probed = sleep(probeMs, undefined, { signal: stop.signal }).then(() => probe(stop.signal));
  try {
    return await Promise.race([
      query.then((read) => ({ read, answered: true })),
      probed.then((read) => ({ read, answered: false })),
    ]);
  } finally {
    signal.removeEventListener('abort', abort);
    stop.abort();
    await probed.catch(() => undefined);
  }
}

async function checkLeader(client: ConsulClient, signal: AbortSignal): Promise<undefined> {
  const [, leader] = await client.ask((api, ctx) => api.status.leader({ ctx }), {
    needs: 'no rule at all',
    signal,
    timeoutMs: probeTimeoutMs,
  });
  if (typeof leader !== 'string' || leader === '')
    throw new HectorError('store_unreachable', `Consul at ${client.url} has no leader at the moment.`);
  return undefined;
}

function equal(one: StoreState, other: StoreState): boolean {
  if (one.size !== other.size) return false;
  for (const [path, { version }] of one) if (other.get(path)?.version !== version) return false;
  return true;
}
