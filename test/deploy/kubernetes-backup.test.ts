import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import type { Task } from '../../core/a2a.ts';
import { busyboxMissing, busyboxTools } from '../services/busybox.ts';
import { kubectlMissing } from '../services/kubectl.ts';
import { type Postgres, postgresMissing, startPostgres } from '../services/postgres.ts';
import { answer, rpc, type Say, userMessage } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { type Manifest, manifestOf } from '../support/manifests.ts';
import { sharedConfiguration } from './configuration.ts';
import { kustomized } from './kustomize.ts';

const password = 'p@ss word';

/** The container of the CronJob, or of the Job that restores: its own command and variables. */
interface Container {
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
}

async function say({ url }: Hector, text: string, more: Say = {}): Promise<Task> {
  const params = { message: userMessage(text, more) };
  const { body } = await rpc(`${url}/agents/assistant`, 'SendMessage', params, { version: '1.0' });
  assert.equal(body.error, undefined, JSON.stringify(body.error));
  return body.result?.['task'] as Task;
}
const get = async ({ url }: Hector, id: string) =>
  (await rpc(`${url}/agents/assistant`, 'GetTask', { id }, { version: '1.0' })).body;

describe('the backups of Kubernetes', { skip: kubectlMissing || postgresMissing || busyboxMissing }, () => {
  let postgres: Postgres;
  let folder: string;
  let backups: string;
  let backup: Container;
  let restore: Container;
  const files = async () => (await readdir(backups)).sort();

  /** As kubelet starts it, but for where the database and the folder are; `first` is looked in before all else. */
  async function run({ command, env }: Container, own: Readonly<Record<string, string>> = {}, first: string[] = []) {
    const tools = join(folder, 'tools');
    const psql = (await postgres.shell('command -v psql', folder)).trim();
    const [shell = '', ...args] = command;
    assert.equal(shell, '/bin/sh');
    return await promisify(execFile)(join(tools, 'sh'), args, {
      env: {
        ...Object.fromEntries(env.map(({ name, value }) => [name, value ?? password])),
        PATH: [...first, tools, dirname(psql)].join(delimiter),
        PGHOST: '127.0.0.1',
        PGPORT: String(postgres.port),
        BACKUPS: backups,
        ...own,
      },
    });
  }
  const fails = (work: Promise<unknown>, said: RegExp) =>
    assert.rejects(work, (error: { code: number; stderr: string }) => {
      assert.notEqual(error.code, 0);
      assert.match(error.stderr, said);
      return true;
    });

  before(async () => {
    postgres = await startPostgres();
    await postgres.query(`CREATE ROLE hector SUPERUSER LOGIN PASSWORD '${password}'`);
    await postgres.query('CREATE DATABASE hector OWNER hector');
    folder = await mkdtemp(join(tmpdir(), 'hector-backups-'));
    backups = join(folder, 'with a space');
    for (const path of [backups, join(folder, 'tools'), join(folder, 'broken')]) await mkdir(path);
    await busyboxTools(join(folder, 'tools'));
    await writeFile(join(folder, 'broken/pg_dump'), '#!/bin/sh\necho "CREATE TABLE half ();"\nexit 1\n', {
      mode: 0o755,
    });
    const cronJob = manifestOf(await kustomized('overlays/postgres'), 'CronJob', 'hector-backup');
    [backup] = cronJob['spec'].jobTemplate.spec.template.spec.containers;
    [restore] = manifestOf(await kustomized('restore'), 'Job', 'hector-restore')['spec'].template.spec.containers;
  });
  after(async () => {
    await postgres[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('the replicas of the overlay answer for the tasks of each other, those of `basic` would not', async () => {
    const plugin = await readFile(join(import.meta.dirname, '../support/counting-plugin.mjs'), 'utf8');
    const options = {
      config: await sharedConfiguration(postgres.port),
      files: { 'counting-plugin.mjs': plugin },
      env: { DB_PASSWORD: password },
    };
    await using first = await startHector(options);
    await using second = await startHector(options);
    const one = await say(first, 'one');
    assert.deepEqual((await get(second, one.id)).result, one);
    assert.equal(answer(await say(second, 'two', { contextId: one.contextId })), 'one | two');

    const { storage: _, databases: __, ...memory } = parse(options.config);
    const alone = { ...options, config: stringify(memory) };
    await using third = await startHector(alone);
    await using fourth = await startHector(alone);
    assert.ok((await get(fourth, (await say(third, 'one')).id)).error);
    const [{ spec }] = (await kustomized('overlays/basic')).filter(({ kind }) => kind === 'Deployment') as [Manifest];
    assert.equal(spec.replicas, 1);
  });

  test('there is nothing to restore before the first', () => fails(run(restore), /there is no backup in/));

  test('a Hector on what was restored answers for the old task, and goes on with the conversation', async () => {
    const options = {
      config: await sharedConfiguration(postgres.port),
      files: {
        'counting-plugin.mjs': await readFile(join(import.meta.dirname, '../support/counting-plugin.mjs'), 'utf8'),
      },
      env: { DB_PASSWORD: password },
    };
    await using first = await startHector(options);
    const one = await say(first, 'one');
    assert.match((await run(backup)).stdout, /hector-\d{8}-\d{6}\.sql\.gz: \d+ bytes/);
    const [file = ''] = await files();
    assert.equal((await files()).length, 1);
    const later = await say(first, 'two', { contextId: one.contextId });
    assert.equal(answer(later), 'one | two');

    await fails(run(restore), /being accessed by other users/);
    assert.equal((await get(first, later.id)).error, undefined, 'what serves is as it was');
    await first.stop();

    assert.match((await run(restore)).stdout, new RegExp(`restored .*${file}`));
    await using second = await startHector(options);
    assert.deepEqual((await get(second, one.id)).result, one);
    assert.ok((await get(second, later.id)).error, 'it came after the backup');
    assert.equal(answer(await say(second, 'three', { contextId: one.contextId })), 'one | three');
    await second.stop();

    const aside = await postgres.query("SELECT datname FROM pg_database WHERE datname LIKE 'hector_before_%'");
    assert.equal(aside.length, 1, 'what was there is put aside');
    const kept = await postgres.query('SELECT id FROM hector_tasks', String(aside[0]?.['datname']));
    assert.ok(kept.some(({ id }) => id === later.id));

    await run(restore, { BACKUP: file });
    const restored = await postgres.query('SELECT id FROM hector_tasks', 'hector');
    assert.ok(restored.some(({ id }) => id === one.id));
    await truncate(join(backups, file), (await stat(join(backups, file))).size - 20);
    await fails(run(restore, { BACKUP: file }), /gzip|unexpected end|corrupt/i);
    assert.deepEqual(await postgres.query('SELECT id FROM hector_tasks', 'hector'), restored, 'that changed nothing');
  });

  test('a pg_dump that fails leaves nothing that looks like a backup, and removes none', async () => {
    const old = join(backups, 'hector-20250101-020000.sql.gz');
    await writeFile(old, 'old');
    await utimes(old, 0, 0);
    const before = await files();
    await fails(run(backup, { PGPASSWORD: 'wrong' }), /authentication failed/);
    assert.deepEqual(await files(), before);
    await assert.rejects(run(backup, {}, [join(folder, 'broken')]));
    assert.deepEqual(await files(), before);

    const [shell = '', flag = '', script = ''] = backup.command;
    const careless = { ...backup, command: [shell, flag, script.replace('euo pipefail', 'eu')] };
    await run(careless, {}, [join(folder, 'broken')]);
    assert.notDeepEqual(await files(), before, 'that is what pipefail is for');
  });

  test('one that succeeds removes those that are too old, and what was left half-written', async () => {
    const names = ['hector-20250102-020000.sql.gz', 'hector-20250103-020000.sql.gz.partial', 'other.txt'];
    for (const name of names) {
      await writeFile(join(backups, name), 'old');
      await utimes(join(backups, name), 0, 0);
    }
    const recent = join(backups, 'hector-20250104-020000.sql.gz');
    await writeFile(recent, 'recent');
    const days = Number(backup.env.find(({ name }) => name === 'KEEP_DAYS')?.value);
    const age = Date.now() / 1000 - (days - 1) * 86_400;
    await utimes(recent, age, age);
    await run(backup);
    const left = await files();
    assert.deepEqual(
      left.filter((name) => name.startsWith('hector-2025')),
      ['hector-20250104-020000.sql.gz'],
    );
    assert.ok(left.includes('other.txt'));
  });
});
