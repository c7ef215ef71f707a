import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Task } from '../../core/a2a.ts';
import { blocks, root } from '../docs/blocks.ts';
import { postgresMissing, startPostgres } from '../services/postgres.ts';
import { answer, connect, send } from '../support/a2a-client.ts';
import { desk } from '../support/desk.ts';
import { startHector } from '../support/hector.ts';
import { storeKinds } from '../support/stores.ts';
import { until } from '../support/until.ts';

/** The one command block of a section of docs/operations.md. */
async function blockOf(section: string): Promise<string> {
  const lines = (await readFile(join(root, 'docs/operations.md'), 'utf8')).split('\n');
  const from = lines.indexOf(`## ${section}`);
  const to = lines.findIndex((line, index) => index > from && line.startsWith('## '));
  const found = blocks().filter(
    ({ page, line, language }) => page === 'docs/operations.md' && language === 'sh' && line > from && line <= to,
  );
  assert.equal(found.length, 1, section);
  return found[0]?.text ?? '';
}

const document = (instruction: string) =>
  `llms: { default: { provider: echo } }\nagents:\n  writer: { instruction: ${instruction} }\n`;

describe('docs/operations.md', () => {
  for (const kind of storeKinds) {
    test(`from Git into ${kind.name}, and rolled back from there`, { skip: kind.missing }, async (t) => {
      await using store = await kind.start();
      const { cwd, type } = await desk(t);
      const key = 'hector/production';
      const local = `config: { provider: ${kind.name}, address: "${store.address()}", key: ${key}, throttle: 0 }\n`;
      await store.put(key, document('Be kind.'));
      await writeFile(join(cwd, 'hector.yaml'), local);
      await writeFile(join(cwd, 'next.yaml'), document('Be rude.'));
      await type(
        'git init -q . && git add . && git -c user.name=a -c user.email=a@example.com commit -qm "a ruder writer"',
      );
      await using replica = await startHector({ config: local, args: ['--watch'] });
      const instruction = async () => (await type('hector config pull --config hector.yaml')).stdout;
      const serving = async () => {
        const response = await fetch(`${replica.url}/api/config/status`);
        return ((await response.json()) as { serving: { content_hash: string } }).serving.content_hash;
      };
      const before = await serving();

      const pushed = await type(await blockOf('The configuration in Git'));
      assert.match(pushed.stdout, /writer/);
      assert.match(await instruction(), /Be rude/);
      assert.match((await type('git tag')).stdout, /^deployed-/);
      await until(async () => (await serving()) !== before);

      const rolledBack = await type(await blockOf('Roll back'));
      assert.match(rolledBack.stdout, /a ruder writer/, 'the history says why');
      assert.match(await instruction(), /Be kind/);
      await until(async () => (await serving()) === before);
    });
  }

  test('a backup of a Hector that serves, restored beside it', { skip: postgresMissing }, async (t) => {
    await using postgres = await startPostgres();
    const database = await postgres.createDatabase();
    const { cwd } = await desk(t);
    const config = (name: string) => `llms: { default: { provider: echo } }
agents: { assistant: {} }
databases: { main: { driver: postgres, dsn: "${postgres.url(name)}" } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
`;
    await using hector = await startHector({ config: config(database) });
    const kept = await send(await connect(hector.url), 'remember me');
    const urls = `DATABASE_URL='${postgres.url(database)}'\nRESTORED_URL='${postgres.url('restored')}'\n`;
    await postgres.shell(`${urls}${await blockOf('Back up')}`, cwd);
    const lost = await send(await connect(hector.url), 'too late');
    assert.match((await readdir(cwd)).join(), /^hector-\d{8}-\d{6}\.sql\.gz$/);

    await postgres.shell(`${urls}${await blockOf('Restore')}`, cwd);
    await using restored = await startHector({ config: config('restored') });
    const ask = async (id: string) => {
      const response = await fetch(`${restored.url}/agents/assistant/tasks/${id}`, {
        headers: { 'a2a-version': '1.0' },
      });
      return { status: response.status, task: (await response.json()) as Task };
    };
    const found = await ask(kept.id);
    assert.equal(found.status, 200);
    assert.equal(answer(found.task), answer(kept));
    assert.equal((await ask(lost.id)).status, 404);
    // A second time there is something in the way, and nothing of it is half done.
    await assert.rejects(
      postgres.shell(`${urls}${(await blockOf('Restore')).split('\n').at(-1)}`, cwd),
      /already exists/,
    );
  });
});
