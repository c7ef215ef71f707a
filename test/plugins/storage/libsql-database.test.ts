import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CompiledQuery, sql } from 'kysely';
import { LibsqlDatabase } from '../../../plugins/storage/sql/libsql-database.ts';

test('of writes that are committed together one that fails harms no other', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-libsql-'));
  try {
    await using database = new LibsqlDatabase({ who: 'databases.main', file: join(folder, 'x.db'), busyMs: 1_000 });
    const query = (text: string) => sql.raw(text).compile(database.builder) as CompiledQuery;
    await database.write(query('create table words (word text primary key)'));
    const insert = (word: string) => query(`insert into words values ('${word}')`);
    const written = await Promise.allSettled([
      database.write(insert('one'), insert('two')),
      database.write(insert('three'), insert('one')),
      database.write(insert('four')),
      database.write(query('insert into nowhere values (1)')),
      ...Array.from({ length: 200 }, (_, at) => database.write(insert(`word-${at}`))),
    ]);
    assert.deepEqual(
      written.slice(0, 5).map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
    const words = (await database.read(query('select word from words'))).map((row) => (row as { word: string }).word);
    assert.equal(words.length, 203);
    assert.ok(!words.includes('three'), 'together or not at all');
    assert.ok(['one', 'two', 'four', 'word-199'].every((word) => words.includes(word)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
