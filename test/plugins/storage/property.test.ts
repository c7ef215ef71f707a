import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StorageBackend } from '../../../core/extension/storage-backend.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import { ferretdbMissing, startFerretdb } from '../../services/ferretdb.ts';
import { postgresMissing, startPostgres } from '../../services/postgres.ts';
import { inmemoryStorage } from '../../support/generation.ts';
import { openStorage } from '../../support/open-storage.ts';
import { Random } from '../../support/random.ts';
import { storageModel } from './property-model.ts';
import { Comparison } from './property-steps.ts';

const steps = 200;

describe('the model keeps to what all keep to', () => {
  testStorageBackend({ test, create: storageModel });
});

describe('a random order of operations equals the model', () => {
  test('in memory', async () => {
    for (let seed = 1; seed <= 20; seed++) await compare(inmemoryStorage(), seed);
  });

  test('in SQLite', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-property-'));
    try {
      await using storage = await openStorage(sqlite, { database: 'a.db' }, { folder });
      await compareAll(storage, 12);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('in Postgres', { skip: postgresMissing }, async () => {
    await using server = await startPostgres();
    await using storage = await openStorage(postgres, { dsn: server.url(await server.createDatabase()) });
    await compareAll(storage, 6);
  });

  test('in MongoDB', { skip: ferretdbMissing }, async () => {
    await using server = await startFerretdb();
    await using storage = await openStorage(mongodb, { uri: server.url() });
    await compareAll(storage, 1);
  });
});

async function compareAll(storage: StorageBackend, seeds: number): Promise<void> {
  for (let seed = 1; seed <= seeds; seed++) await compare(storage, seed);
}

async function compare(storage: StorageBackend, seed: number): Promise<void> {
  const comparison = new Comparison(storage, new Random(seed));
  for (let step = 0; step <= steps; step++) {
    try {
      await (step < steps ? comparison.step() : comparison.end());
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}: ${(error as Error).message}`, { cause: error });
    }
  }
}
