import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { postgresMissing, startPostgres } from '../../services/postgres.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { taskIn } from '../../support/a2a-serving.ts';
import { command, serveCommand } from '../../support/command-line.ts';

const agents = 'version: "2"\nllms: { default: { provider: echo } }\nagents: { first: {}, second: {} }\n';
const storage = 'storage: { tasks: { backend: inmemory }, sessions: { backend: sql, database: main } }\n';

async function listsAndDeletes(entry: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-sessions-'));
  try {
    const file = join(folder, 'config.yaml');
    await writeFile(file, `${agents}databases: { main: ${entry} }\n${storage}`);
    await using served = await serveCommand(['-c', file]);
    const say = async (agent: string, contextId: string) => {
      const params = { message: userMessage('Hello', { contextId }) };
      taskIn(await rpc(`${served.url}/agents/${agent}`, 'SendMessage', params, { version: '1.0' }));
    };
    const sessions = (...args: string[]) => command(['sessions', ...args, '-c', file]);
    const none = await sessions('list');
    assert.deepEqual([none.code, none.stdout, none.stderr], [0, '', 'There are no such conversations.\n']);

    await say('first', 'talk-1');
    await say('second', 'talk-2');
    await say('first', 'talk-3');
    const contexts = async (...args: string[]) => {
      const { code, stdout, stderr } = await sessions('list', '--json', ...args);
      assert.equal(code, 0, stderr);
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const all = await contexts();
    assert.deepEqual(
      all.map(({ contextId }) => contextId),
      ['talk-3', 'talk-2', 'talk-1'],
    );
    assert.deepEqual([all[0]?.['owner'], all[0]?.['agent'], all[0]?.['messages']], ['anonymous', 'first', 2]);
    assert.deepEqual(
      (await contexts('--agent', 'second')).map(({ contextId }) => contextId),
      ['talk-2'],
    );
    assert.deepEqual(await contexts('--owner', 'ann'), []);
    const limited = await sessions('list', '--limit', '1');
    assert.match(limited.stdout, /^OWNER +AGENT +CONTEXT +MESSAGES +USED\nanonymous +first +talk-3 +2 +\d+\w\n$/);
    assert.match(limited.stderr, /--limit shows more/);

    const of = ['--owner', 'anonymous', '--agent', 'first'];
    const shown = await sessions('show', 'talk-1', ...of);
    assert.deepEqual([shown.code, shown.stdout], [0, 'User\n  Hello\n\nAgent\n  Hello\n'], shown.stderr);
    const json = await sessions('show', 'talk-1', ...of, '--json');
    assert.deepEqual(
      json.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
      ['user', 'assistant'].map((role) => ({ role, parts: [{ type: 'text', text: 'Hello' }] })),
    );
    const nobodys = await sessions('show', 'talk-1', '--owner', 'ann', '--agent', 'first');
    assert.deepEqual([nobodys.code, nobodys.stdout], [1, '']);
    assert.match(nobodys.stderr, /has no conversation talk-1 of "ann"/);
    const others = await sessions('delete', 'talk-1', '--owner', 'ann', '--agent', 'first');
    assert.equal(others.code, 1);
    assert.match(others.stderr, /^error: databases\.main has no conversation talk-1 of "ann" with the agent "first"\./);
    const deleted = await sessions('delete', 'talk-1', ...of);
    assert.deepEqual(
      [deleted.code, deleted.stdout],
      [0, 'Deleted the conversation talk-1 of "anonymous" with the agent "first".\n'],
      deleted.stderr,
    );
    assert.equal((await sessions('delete', 'talk-1', ...of)).code, 1);
    assert.equal((await contexts()).length, 2);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('hector sessions', () => {
  test('list and delete in SQLite, while it is served', () =>
    listsAndDeletes('{ driver: sqlite, database: hector.db }'));

  test('list and delete in Postgres, while it is served', { skip: postgresMissing }, async () => {
    await using server = await startPostgres();
    const name = await server.createDatabase('hector');
    await listsAndDeletes(`{ driver: postgres, dsn: "${server.url(name)}" }`);
  });

  test('more than a backend gives at once are fetched page by page', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-sessions-'));
    try {
      const file = join(folder, 'many.db');
      const flags = ['--storage', 'sqlite', '--storage-db', file];
      assert.equal((await command(['db', 'migrate', ...flags])).code, 0);
      const { default: Database } = await import('libsql');
      const database = new Database(file);
      database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
        INSERT INTO hector_sessions (owner, agent, context_id, last_sequence, created_at, updated_at)
        SELECT 'ann', 'first', 'talk-' || i, 0, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z' FROM n`);
      database.close();
      const { stdout, stderr } = await command(['sessions', 'list', '--json', '--limit', '230', ...flags]);
      const seen = stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { contextId: string }).contextId);
      assert.equal(new Set(seen).size, 230, stderr);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('the command line is wrong, or there is no database', async () => {
    const files = { 'config.yaml': agents };
    const of = ['talk-1', '--owner', 'ann', '--agent', 'first'];
    for (const args of [['list'], ['show', ...of], ['delete', ...of]]) {
      const { code, stderr } = await command(['sessions', ...args, '-c', 'config.yaml'], { files });
      assert.equal(code, 1);
      assert.match(stderr, /in memory/);
    }
    for (const args of [
      ['list', '--limit', '0'],
      ['delete', 'talk-1'],
      ['delete', 'talk-1', '--owner', 'ann'],
      ['delete', '--owner', 'ann', '--agent', 'first'],
      ['show', 'talk-1', '--owner', 'ann'],
    ]) {
      assert.equal((await command(['sessions', ...args, '-c', 'config.yaml'], { files })).code, 2, args.join(' '));
    }
  });
});
