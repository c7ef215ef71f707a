import assert from 'node:assert/strict';
import { testCounters } from './counters.ts';
import { testClaims } from './storage-claims.ts';
import { reopened, type StorageConformance, withBackend } from './storage-harness.ts';
import { testRuns } from './storage-runs.ts';
import {
  conversation,
  everything,
  idsOf,
  odd,
  pass,
  said,
  session,
  stored,
  storedIn,
  timestamp,
} from './storage-samples.ts';
import { testSessions } from './storage-sessions.ts';
import { testTasks } from './storage-tasks.ts';

export type { StorageConformance } from './storage-harness.ts';

/** What every storage backend keeps to, whatever it stores in. One without `runs` or `counters` passes what is about those. */
export function testStorageBackend(conformance: StorageConformance): void {
  testTasks(conformance);
  testSessions(conformance);
  testRuns(conformance);
  testClaims(conformance);
  testCountersOf(conformance);
  testTogether(conformance);
}

/** Where there are any: a second backend shares them. */
function testCountersOf({ test, create, reopen }: StorageConformance): void {
  testCounters({
    test: (name, run) => test(`storage: ${name}`, run),
    async create() {
      const backends = [await create(), ...(reopen ? [await reopen()] : [])];
      const [counters, ...others] = backends.flatMap((backend) => backend.counters ?? []);
      const dispose = async () => {
        for (const backend of backends) await backend[Symbol.asyncDispose]?.();
      };
      return { counters, others, [Symbol.asyncDispose]: dispose };
    },
  });
}

function testTogether(conformance: StorageConformance): void {
  const { reopen } = conformance;
  const test = withBackend(conformance);

  test('answers a ping', async (backend) => {
    await backend.ping(AbortSignal.timeout(10_000));
  });

  test('what is long or odd is kept all the same', async ({ tasks, sessions }) => {
    for (const [index, name] of odd.entries()) {
      await tasks.put(stored({ id: name, contextId: name, owner: name, agent: name, at: index }));
      await sessions.append({ owner: name, agent: name, contextId: name }, [said(name)]);
    }
    for (const [index, name] of odd.entries()) {
      const put = stored({ id: name, contextId: name, owner: name, agent: name, at: index });
      assert.deepEqual(storedIn(await tasks.get(name)), put);
      const { items } = await tasks.list({ owner: name, agent: name, contextId: name, pageSize: 5 });
      assert.deepEqual(items.map(storedIn), [put]);
      assert.deepEqual(await sessions.history({ owner: name, agent: name, contextId: name }), [said(name)]);
    }
  });

  test('prunes finished tasks and unused conversations that are older, and nothing else', async (backend) => {
    if (!backend.prune) return;
    const { tasks, sessions } = backend;
    await tasks.put(stored({ id: 'old', at: 1 }));
    await tasks.put(stored({ id: 'waits', at: 1, state: 'TASK_STATE_INPUT_REQUIRED' }));
    await tasks.put(stored({ id: 'new', at: 3 }));
    await sessions.append(session, [said('old')]);
    await pass();
    const between = new Date().toISOString();
    await pass();
    await sessions.append({ ...session, contextId: 'new' }, [said('new')]);
    const { signal } = new AbortController();
    assert.deepEqual(await backend.prune({}, signal), { tasks: 0, sessions: 0 });
    const limits = { tasksBefore: timestamp(2), sessionsBefore: between };
    assert.deepEqual(await backend.prune(limits, signal), { tasks: 1, sessions: 1 });
    assert.deepEqual(await idsOf(tasks, {}), ['new', 'waits']);
    assert.deepEqual(await sessions.history(session), []);
    assert.deepEqual(await sessions.history({ ...session, contextId: 'new' }), [said('new')]);
    assert.deepEqual(await backend.prune(limits, signal), { tasks: 0, sessions: 0 });
  });

  test('says what schema there is, and has brought it to what it needs', async ({ schema }) => {
    if (!schema) return;
    const { signal } = new AbortController();
    const { version, wanted } = await schema.status(signal);
    assert.equal(version, wanted);
    assert.deepEqual(await schema.migrate(signal), { version, wanted });
  });

  if (!reopen) return;

  test('what was stored is there when it is opened again', async ({ tasks, sessions }) => {
    const put = stored({ task: everything });
    await tasks.put(put);
    await sessions.append(session, conversation);
    await reopened(reopen, async (again) => {
      assert.deepEqual(await again.tasks.get(put.task.id), { ...put, version: 1, sequence: 0 });
      assert.deepEqual(await again.sessions.history(session), conversation);
    });
  });
}
