import { setTimeout as pause } from 'node:timers/promises';
import { type CompiledQuery, sql } from 'kysely';
import type { Counter, CounterStore } from '../../../core/index.ts';
import { indexed } from './names.ts';
import type { CounterRow, SqlDatabase } from './tables.ts';
import { Templates } from './templates.ts';

const countersAtOnce = 1_000;
/** Between two batches, so that what counts has its turn. */
const pauseMs = 20;

/** Counters in a table. An addition is one statement, so nobody else's comes between looking and adding. */
export function counterStore(database: SqlDatabase): CounterStore {
  const templates = new Templates();
  const read = async (counter: Counter): Promise<number> => {
    const [row] = await database.read(countOf(database, templates, counter));
    return Number(row?.count ?? 0);
  };
  return {
    read,

    async add(counter, amount, limit) {
      // A row that is not there yet has nothing to be compared with.
      if (limit === undefined || amount <= limit) {
        const [written] = await database.write(addition(database, templates, counter, amount, limit));
        const [row] = (written?.rows ?? []) as readonly Pick<CounterRow, 'count'>[];
        if (row) return { count: Number(row.count), allowed: true };
      }
      return { count: await read(counter), allowed: false };
    },

    async prune(endedBefore, signal) {
      const query = oldCounters(database, Math.floor(endedBefore / 1_000));
      for (let total = 0; ; ) {
        signal.throwIfAborted();
        const changes = (await database.write(query))[0]?.changes ?? 0;
        total += changes;
        if (changes < countersAtOnce) return total;
        await pause(pauseMs, undefined, { signal });
      }
    },
  };
}

function addition(
  { builder }: SqlDatabase,
  templates: Templates,
  counter: Counter,
  amount: number,
  limit: number | undefined,
): CompiledQuery {
  const values = {
    row: { ...columnsOf(counter), window_end: counter.windowEnd / 1_000, count: amount },
    most: { limit },
  };
  const [query] = templates.fill(limit === undefined ? 'add' : 'add within', values, ({ row, most }) => {
    const sum = sql<number>`hector_counters.count + excluded.count`;
    const insert = builder.insertInto('hector_counters').values(row);
    return [
      insert
        .onConflict((conflict) => {
          const update = conflict.columns(['key', 'window_start']).doUpdateSet({ count: sum });
          return limit === undefined ? update : update.where(sum, '<=', most.limit as number);
        })
        .returning('count')
        .compile(),
    ];
  });
  return query;
}

function countOf({ builder }: SqlDatabase, templates: Templates, counter: Counter) {
  const [query] = templates.fill('count', { place: columnsOf(counter) }, ({ place }) => [
    builder
      .selectFrom('hector_counters')
      .select('count')
      .where('key', '=', place.key)
      .where('window_start', '=', place.window_start)
      .compile(),
  ]);
  return query;
}

function columnsOf({ key, windowStart }: Counter): Pick<CounterRow, 'key' | 'window_start'> {
  return { key: indexed(key), window_start: windowStart / 1_000 };
}

/** In Postgres what another removes at the same time is left to it. */
function oldCounters({ builder, dialect }: SqlDatabase, before: number): CompiledQuery {
  const picked = builder
    .selectFrom('hector_counters')
    .select(['key', 'window_start'])
    .where('window_end', '<=', before)
    .limit(countersAtOnce);
  if (dialect === 'sqlite')
    return sql`delete from hector_counters where (key, window_start) in (${picked})`.compile(builder);
  return sql`with picked as materialized (${picked.forUpdate().skipLocked()})
    delete from hector_counters c using picked p where c.key = p.key and c.window_start = p.window_start`.compile(
    builder,
  );
}
