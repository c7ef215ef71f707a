import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import postgres from '../../../plugins/storage/postgres.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import { conversation, session, stored } from '../../conformance/storage-samples.ts';
import { type Postgres, postgresMissing, startPostgres } from '../../services/postgres.ts';
import { openStorage } from '../../support/open-storage.ts';

const docs = join(import.meta.dirname, '../../../docs/storage.md');

describe('postgres with its tables of events in parts, as docs/storage.md makes them', {
  skip: postgresMissing,
}, () => {
  let server: Postgres;
  let script = '';
  let database = '';
  before(async () => {
    server = await startPostgres();
    script = /```sql\n([\s\S]*?)```/.exec(await readFile(docs, 'utf8'))?.[1] ?? '';
    assert.match(script, /partition by hash/);
  });
  after(() => server?.[Symbol.asyncDispose]());

  const open = () => openStorage(postgres, { dsn: server.url(database), max_conns: 10 });

  test('what was there before is there still', async () => {
    database = await server.createDatabase();
    {
      await using storage = await open();
      await storage.tasks.put(stored({ id: 'a' }));
      await storage.sessions.append(session, conversation);
    }
    await server.query(script, database);
    await using storage = await open();
    assert.deepEqual(await storage.sessions.history(session), conversation);
    assert.equal((await storage.tasks.get('a'))?.task.id, 'a');
    const parts = await server.query(
      `select count(*)::int as n from pg_inherits where inhparent in ('hector_session_events'::regclass, 'hector_task_events'::regclass)`,
      database,
    );
    assert.deepEqual(parts, [{ n: 8 }]);
  });

  testStorageBackend({
    test,
    async create() {
      database = await server.createDatabase();
      const made = await open();
      await made[Symbol.asyncDispose]();
      await server.query(script, database);
      return await open();
    },
    reopen: open,
  });
});
