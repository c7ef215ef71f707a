import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TaskState } from '../../../core/a2a.ts';
import type { SessionKey, StorageBackend, StoredTask } from '../../../core/extension/storage-backend.ts';
import type { ChatMessage } from '../../../core/message.ts';
import postgres from '../../../plugins/storage/postgres.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import { postgresMissing, startPostgres } from '../../services/postgres.ts';
import { openStorage } from '../../support/open-storage.ts';
import { Random } from '../../support/random.ts';

const runs = 300;
const steps = 20;

describe('a random order of operations equals the model', () => {
  test('in SQLite', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-property-'));
    try {
      await using storage = await openStorage(sqlite, { database: 'a.db' }, { folder });
      for (let seed = 1; seed <= runs; seed++) await compare(storage, seed);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('in Postgres', { skip: postgresMissing }, async () => {
    await using server = await startPostgres();
    await using storage = await openStorage(postgres, { dsn: server.url(await server.createDatabase()) });
    for (let seed = 1; seed <= runs; seed++) await compare(storage, seed);
  });
});

/** Its owners are of this seed alone, so that no run sees another's. */
async function compare(storage: StorageBackend, seed: number): Promise<void> {
  const random = new Random(seed);
  const owners = [`ada-${seed}`, `eve-${seed}`];
  const tasks = new Map<string, StoredTask>();
  const sessions = new Map<string, ChatMessage[]>();
  const scope = () => ({ owner: random.one(owners), agent: random.one(['writer', 'reader']) });
  const key = (): SessionKey => ({ ...scope(), contextId: random.one(['one', 'two']) });
  const nameOf = (each: SessionKey) => JSON.stringify(each);

  for (let step = 0; step < steps; step++) {
    const place = `seed ${seed}, step ${step}`;
    switch (random.below(6)) {
      case 0:
      case 1: {
        // Those that come at the same time are of different tasks: which of two of one wins is not said.
        const ids = ['a', 'b', 'c', 'd', 'e', 'f'].filter(() => random.below(3) === 0);
        const put = ids.map((id) => randomTask(random, `${id}-${seed}`, scope()));
        await Promise.all(put.map((task) => storage.tasks.put(task)));
        for (const task of put) tasks.set(task.task.id, task);
        break;
      }
      case 2: {
        const id = `${random.one(['a', 'b', 'c', 'd', 'e', 'f'])}-${seed}`;
        assert.deepEqual(await storage.tasks.get(id), tasks.get(id), place);
        break;
      }
      case 3: {
        const each = key();
        const messages = Array.from({ length: random.below(4) }, (): ChatMessage => said(`${random.below(1_000_000)}`));
        await storage.sessions.append(each, messages);
        sessions.set(nameOf(each), [...(sessions.get(nameOf(each)) ?? []), ...messages]);
        break;
      }
      case 4: {
        const each = key();
        const there = (sessions.get(nameOf(each)) ?? []).length > 0;
        if (random.below(4) > 0)
          assert.deepEqual(await storage.sessions.history(each), sessions.get(nameOf(each)) ?? [], place);
        else {
          assert.equal(await storage.sessions.delete?.(each), there, place);
          sessions.delete(nameOf(each));
        }
        break;
      }
      default: {
        const query = {
          ...scope(),
          ...(random.below(2) && { contextId: 'one' }),
          ...(random.below(2) && { state: states[0] }),
        };
        const expected = [...tasks.values()]
          .filter(
            ({ task, owner, agent }) =>
              owner === query.owner &&
              agent === query.agent &&
              (query.contextId === undefined || task.contextId === query.contextId) &&
              (query.state === undefined || task.status.state === query.state),
          )
          .sort(newestFirst);
        assert.deepEqual(await paged(storage, query, 1 + random.below(4)), expected, place);
      }
    }
  }
}

const states = ['TASK_STATE_COMPLETED', 'TASK_STATE_INPUT_REQUIRED', 'TASK_STATE_FAILED'] as const;

type Query = {
  readonly owner: string;
  readonly agent: string;
  readonly contextId?: string;
  readonly state?: TaskState;
};

async function paged({ tasks }: StorageBackend, query: Query, pageSize: number): Promise<StoredTask[]> {
  const all: StoredTask[] = [];
  for (let pageToken: string | undefined; ; ) {
    const page = await tasks.list({ ...query, pageSize, ...(pageToken !== undefined && { pageToken }) });
    all.push(...page.items);
    if (page.nextPageToken === undefined) return all;
    pageToken = page.nextPageToken;
  }
}

function newestFirst({ task: a }: StoredTask, { task: b }: StoredTask): number {
  if (a.status.timestamp !== b.status.timestamp) return a.status.timestamp > b.status.timestamp ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function randomTask(random: Random, id: string, scope: { owner: string; agent: string }): StoredTask {
  const timestamp = new Date(Date.UTC(2025, 0, 1, 0, 0, 0, random.below(5))).toISOString();
  const status = { state: random.one(states), timestamp };
  const metadata = { value: random.below(1_000_000) };
  return {
    ...scope,
    task: { id, contextId: random.one(['one', 'two']), status, artifacts: [], history: [], metadata },
  };
}

const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
