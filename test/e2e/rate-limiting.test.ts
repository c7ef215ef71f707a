import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { postgresMissing, startPostgres } from '../services/postgres.ts';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

interface Wish {
  readonly database: string;
  readonly type?: 'count' | 'token';
  readonly limit: number;
}

const config = ({ database, type = 'count', limit }: Wish) => `llms: { default: { provider: echo } }
agents: { parrot: {} }
databases: { shared: ${database} }
rate_limiting:
  enabled: true
  scope: user
  backend: sql
  sql_database: shared
  limits: [{ type: ${type}, window: month, limit: ${limit} }]
`;

const ask = async ({ url }: Hector): Promise<number> => {
  const { status } = await rpc(
    `${url}/agents/parrot`,
    'SendMessage',
    { message: userMessage('hi') },
    { version: '1.0' },
  );
  return status;
};

async function exactlyTheLimit(database: string): Promise<void> {
  const limit = 50;
  const started = await Promise.allSettled(
    Array.from({ length: 3 }, () => startHector({ config: config({ database, limit }) })),
  );
  const replicas = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    assert.equal(replicas.length, 3, JSON.stringify(started));
    const all = await Promise.all(
      Array.from({ length: 150 }, async (_, at) => {
        const replica = at % replicas.length;
        return { replica, status: await ask(replicas[replica] as Hector) };
      }),
    );
    const passed = all.filter(({ status }) => status === 200);
    assert.equal(passed.length, limit);
    assert.equal(all.filter(({ status }) => status === 429).length, 150 - limit);
    assert.ok(new Set(passed.map(({ replica }) => replica)).size > 1, 'more than one of them has let some through');
    for (const replica of replicas) assert.equal(await ask(replica), 429);
  } finally {
    for (const replica of replicas) await replica[Symbol.asyncDispose]();
  }
}

async function tokensTogether(database: string): Promise<void> {
  const wish = config({ database, type: 'token', limit: 3 });
  await using one = await startHector({ config: wish });
  await using two = await startHector({ config: wish });
  assert.equal(await ask(one), 200);
  await until(async () => (await ask(two)) === 429);
  assert.equal(await ask(one), 429);
}

describe('rate_limiting in an SQLite file', () => {
  const inFolder = async (work: (database: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-limits-'));
    try {
      await work(`{ driver: sqlite, database: '${join(folder, 'shared.db')}', busy_timeout: 30s }`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  test('three processes let through what the limit says, and no more', () => inFolder(exactlyTheLimit));
  test('what one has spent, another knows', () => inFolder(tokensTogether));

  test('a changed limit holds from the swap on, and a restart forgets nothing', () =>
    inFolder(async (database) => {
      await using hector = await startHector({ config: config({ database, limit: 2 }), args: ['--watch'] });
      assert.deepEqual([await ask(hector), await ask(hector), await ask(hector)], [200, 200, 429]);
      await replace(hector, config({ database, limit: 4 }));
      assert.deepEqual([await ask(hector), await ask(hector), await ask(hector)], [200, 200, 429]);
      await replace(hector, config({ database, limit: 3 }));
      assert.equal(await ask(hector), 429);
      await hector.stop();
      await using again = await startHector({ config: config({ database, limit: 5 }) });
      assert.deepEqual([await ask(again), await ask(again)], [200, 429]);
    }));
});

describe('rate_limiting in Postgres', { skip: postgresMissing }, () => {
  test('three processes let through what the limit says, and no more; what one has spent, another knows', async () => {
    await using postgres = await startPostgres();
    const database = async () => `{ driver: postgres, dsn: '${postgres.url(await postgres.createDatabase())}' }`;
    await exactlyTheLimit(await database());
    await tokensTogether(await database());
  });

  test('while it is away messages are let in, and what was counted before counts again when it is back', async () => {
    await using postgres = await startPostgres();
    const dsn = postgres.url(await postgres.createDatabase());
    const database = `{ driver: postgres, dsn: '${dsn}', connect_timeout: 500ms }`;
    await using hector = await startHector({ config: config({ database, limit: 1 }) });
    assert.deepEqual([await ask(hector), await ask(hector)], [200, 429]);
    await postgres.stop();
    await until(async () => (await ask(hector)) === 200);
    await told(hector, /rate_limiting cannot count/);
    await postgres.restart();
    await until(async () => (await ask(hector)) === 429, 20_000);
  });
});
