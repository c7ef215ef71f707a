import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Task } from '../../../core/a2a.ts';
import { errorCode } from '../../../core/errors.ts';
import type { Agent } from '../../../core/extension/agent.ts';
import type { RunUpdate } from '../../../core/extension/run-store.ts';
import type { StorageBackend } from '../../../core/extension/storage-backend.ts';
import { silentLogger } from '../../../core/logger.ts';
import type { Generation } from '../../../core/runtime/generation.ts';
import { Executions } from '../../../core/task/executions.ts';
import { Recovery } from '../../../core/task/recovery.ts';
import { type RunRequest, requestToJson } from '../../../core/task/run-request.ts';
import sqlite from '../../../plugins/storage/sqlite.ts';
import { gate, text } from '../../support/agents.ts';
import { caller, generation, request } from '../../support/generation.ts';
import { openStorage } from '../../support/open-storage.ts';
import { answerOf, statusText } from '../../support/task-events.ts';
import { until } from '../../support/until.ts';

const times = { leaseMs: 300, renewMs: 50, freshMs: 50, recordMs: 20 };
const resuming = { checkpoint: { enabled: true, recovery: { auto_resume: true } } };

interface Place {
  readonly storage: StorageBackend;
  open(): Promise<StorageBackend & AsyncDisposable>;
}

async function inDatabase(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-recovery-'));
  const open = () => openStorage(sqlite, { database: 'hector.db' }, { folder });
  try {
    await using storage = await open();
    await work({ storage, open });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Given = Parameters<typeof generation>[0];

/** One process of several. */
function process_(run: Agent['run'], given: Omit<Given, 'agents'>) {
  const of = generation({ agents: { agent: run }, ...given });
  const executions = new Executions({ logger: silentLogger, journalTimes: times });
  const recovered: string[] = [];
  const recovery = new Recovery({
    executions,
    lease: (holder) => of.lease(holder),
    logger: silentLogger,
    onRecovered: (result) => recovered.push(result),
  });
  return {
    recovered,
    of,
    executions,
    recovery,
    async [Symbol.asyncDispose]() {
      await recovery[Symbol.asyncDispose]();
      await executions.close(0, 'The test is over.');
    },
  };
}

const send = async (executions: Executions, of: Generation, words: string, more = {}) => {
  const sending = { ...request(of, { text: words, streaming: false }), ...more };
  try {
    return await executions.send(sending);
  } finally {
    sending.lease.release();
  }
};

const base = (id: string): Task => ({
  id,
  contextId: 'context',
  status: { state: 'TASK_STATE_WORKING', timestamp: new Date().toISOString() },
  artifacts: [],
  history: [{ messageId: `of-${id}`, role: 'ROLE_USER', parts: [{ text: 'go on' }] }],
});

/** A run that a process has left behind. */
async function leave({ storage }: Place, id: string, more: Partial<RunRequest> = {}, update?: Partial<RunUpdate>) {
  const task = base(id);
  const [message] = task.history;
  assert.ok(message && storage.runs);
  const whole: RunRequest = {
    run: 'left',
    message: { ...message, taskId: id, contextId: 'context' },
    principal: { subject: 'ada', scopes: ['read'], claims: { team: 'blue' } },
    accepts: [],
    extensions: [],
    answers: false,
    checkpoints: true,
    ...more,
  };
  const start = { task: { task, owner: 'ada', agent: 'agent' }, version: 0, request: requestToJson(whole) };
  assert.deepEqual(await storage.runs.begin('gone', [start]), []);
  if (update) await storage.runs.record('gone', [{ taskId: id, changes: [], ...update }]);
}

const stored = async ({ storage }: Place, id: string) => (await storage.tasks.get(id))?.task;
const isOver = async (place: Place, id: string) =>
  /COMPLETED|FAILED|CANCELED/.test((await stored(place, id))?.status.state ?? '');

const saying = (more: string) =>
  async function* run() {
    yield text(more);
  };

test('a run goes on with what it has saved, its caller, and the answer as it was then', () =>
  inDatabase(async (place) => {
    const said = (parts: string) => ({
      type: 'artifact' as const,
      artifact: { artifactId: 'response-left', name: 'response', parts: [{ text: parts }] },
      append: false,
      lastChunk: false,
    });
    await leave(
      place,
      'a',
      { hops: 3 },
      {
        changes: [said('kept, lost')],
        checkpoint: JSON.stringify({ parts: { '': { step: 2 }, '/inner': 'inside' }, answered: 5 }),
      },
    );
    const seen: unknown[] = [];
    await using next = process_(
      async function* run(message, context) {
        const { checkpoint, principal } = context;
        seen.push(message.parts, checkpoint?.restored, checkpoint?.at('inner').restored, principal, context.hops);
        yield text(' and more');
      },
      { storage: place.storage, keeping: resuming, resumable: true },
    );
    next.recovery.start();
    await until(() => isOver(place, 'a'));
    const task = await stored(place, 'a');
    assert.equal(task?.status.state, 'TASK_STATE_COMPLETED');
    assert.equal(task && answerOf(task), 'kept, and more');
    assert.deepEqual(next.recovered, ['resumed']);
    assert.deepEqual(seen, [
      [{ text: 'go on' }],
      { step: 2 },
      'inside',
      { subject: 'ada', scopes: ['read'], claims: { team: 'blue' } },
      3,
    ]);
    assert.equal(await place.storage.runs?.follow('a', 0).then((news) => news?.held), false);
  }));

const refusals: readonly [string, RegExp, Given['keeping'], Partial<RunRequest>, boolean][] = [
  ['without auto_resume', /before it was done\.$/, {}, {}, true],
  ['whose checkpoints were off', /nobody knows what had been done/, resuming, { checkpoints: false }, true],
  ['of an agent that cannot', /nobody knows what had been done/, resuming, {}, false],
  ['that worked on an answer of its caller', /auto_resume_hitl/, resuming, { answers: true }, true],
];

for (const [what, why, keeping, more, resumable] of refusals) {
  test(`a run ${what} fails and says so`, () =>
    inDatabase(async (place) => {
      await leave(place, 'a', more);
      await using next = process_(saying('never'), { storage: place.storage, keeping: keeping ?? {}, resumable });
      next.recovery.start();
      await until(() => isOver(place, 'a'));
      const task = await stored(place, 'a');
      assert.equal(task?.status.state, 'TASK_STATE_FAILED');
      assert.match(task ? statusText(task) : '', why);
      assert.equal(task && answerOf(task), '');
      await until(() => next.recovered.length > 0);
      assert.deepEqual(next.recovered, ['failed']);
    }));
}

test('with auto_resume_hitl work on an answer is continued too', () =>
  inDatabase(async (place) => {
    await leave(place, 'a', { answers: true });
    const recovery = { auto_resume: true, auto_resume_hitl: true };
    const keeping = { checkpoint: { enabled: true, recovery } };
    await using next = process_(saying('done'), { storage: place.storage, keeping, resumable: true });
    next.recovery.start();
    await until(() => isOver(place, 'a'));
    assert.equal((await stored(place, 'a'))?.status.state, 'TASK_STATE_COMPLETED');
  }));

test('what is older than the timeout is not continued', () =>
  inDatabase(async (place) => {
    await leave(place, 'a');
    await sleep(20);
    const keeping = { checkpoint: { enabled: true, recovery: { auto_resume: true, timeout: '10ms' } } };
    await using next = process_(saying('never'), { storage: place.storage, keeping, resumable: true });
    next.recovery.start();
    await until(() => isOver(place, 'a'));
    const task = await stored(place, 'a');
    assert.match(task ? statusText(task) : '', /too long ago/);
  }));

test('a run that has taken three processes with it is not given to a fourth', () =>
  inDatabase(async (place) => {
    await leave(place, 'a');
    for (const holder of ['one', 'two', 'three']) assert.equal((await place.storage.runs?.claim(holder, 9))?.length, 1);
    await using next = process_(saying('never'), { storage: place.storage, keeping: resuming, resumable: true });
    next.recovery.start();
    await until(() => isOver(place, 'a'));
    const task = await stored(place, 'a');
    assert.match(task ? statusText(task) : '', /so did the 3 that went on with it/);
  }));

test('a run that is to be cancelled while nobody has it is', () =>
  inDatabase(async (place) => {
    await leave(place, 'a');
    assert.equal(await place.storage.runs?.requestCancel('a'), true);
    await using next = process_(saying('never'), { storage: place.storage, keeping: resuming, resumable: true });
    next.recovery.start();
    await until(() => isOver(place, 'a'));
    assert.equal((await stored(place, 'a'))?.status.state, 'TASK_STATE_CANCELED');
    assert.deepEqual(next.recovered, [], 'somebody wanted it so');
  }));

test('a run that ends at once is written once, whole; one that lasts is begun; both with what they have said', () =>
  inDatabase(async (place) => {
    const began: string[] = [];
    const { runs } = place.storage;
    assert.ok(runs);
    const storage: StorageBackend = {
      ...place.storage,
      runs: {
        ...runs,
        begin: (holder, starts) => {
          began.push(...starts.map(({ task }) => task.task.id));
          return runs.begin(holder, starts);
        },
      },
    };
    const go = gate();
    await using one = process_(
      async function* run(message, { session }) {
        await session.append([{ role: 'user', parts: [{ type: 'text', text: 'said' }] }]);
        assert.equal((await session.history()).length, 1, 'its own is part of it at once');
        yield text('begun ');
        if (message.parts.some((part) => 'text' in part && part.text === 'slow')) await go.opened;
        yield text('done');
      },
      { storage },
    );
    const quick = await (await send(one.executions, one.of, 'quick')).settled();
    assert.deepEqual(began, []);
    assert.deepEqual(await stored(place, quick.id), quick);

    const reader = await send(one.executions, one.of, 'slow', { streaming: true });
    await reader.recorded?.();
    assert.deepEqual(began, [reader.task.id], 'whoever is told its id finds it');
    const other = generation({ agents: { agent: saying('') }, storage: place.storage });
    const elsewhere = new Executions({ logger: silentLogger, journalTimes: times });
    const follow = await elsewhere.subscribe(caller(other), reader.task.id);
    const ids: string[] = [];
    let seen = '';
    for await (const event of follow.events()) {
      if (event.id) ids.push(event.id);
      if (event.type === 'task') seen = answerOf(event.task);
      else if (event.type === 'artifact')
        seen =
          (event.append ? seen : '') + event.artifact.parts.map((part) => ('text' in part ? part.text : '')).join('');
      const key = { owner: 'ada', agent: 'agent', contextId: reader.task.contextId };
      if (seen === 'begun ') {
        assert.deepEqual(await place.storage.sessions.history(key), [], 'for others, when the task has ended');
        go.open();
      }
    }
    const task = await reader.settled();
    assert.equal(seen, 'begun done');
    assert.deepEqual(await elsewhere.get(caller(other), task.id), task);
    const key = { owner: 'ada', agent: 'agent', contextId: task.contextId };
    assert.equal((await place.storage.sessions.history(key)).length, 1);
    assert.match(ids[0] ?? '', /^at-\d+$/);
    await elsewhere.close(0, 'The test is over.');
  }));

test('what may have been recorded is recorded again under its number, and is there once', () =>
  inDatabase(async (place) => {
    const { runs } = place.storage;
    assert.ok(runs);
    let lose = 2;
    const storage: StorageBackend = {
      ...place.storage,
      runs: {
        ...runs,
        async record(holder, updates) {
          const lost = await runs.record(holder, updates);
          if (updates.some(({ changes }) => changes.length > 0) && lose-- > 0)
            throw Object.assign(new Error('The answer was lost.'), { code: 'storage_unavailable' });
          return lost;
        },
      },
    };
    await using one = process_(
      async function* run(_message, { signal }) {
        for (let word = 0; word < 12; word++) {
          yield text(`${word} `);
          await sleep(20, undefined, { signal });
        }
      },
      { storage },
    );
    const reader = await send(one.executions, one.of, 'count', { streaming: true });
    const task = await reader.settled();
    assert.ok(lose <= 0, 'answers were lost');
    assert.equal(answerOf(task), '0 1 2 3 4 5 6 7 8 9 10 11 ');
    assert.deepEqual(await stored(place, task.id), task);
  }));

test('whoever has lost a task tells its reader so, and leaves it to the other', () =>
  inDatabase(async (place) => {
    const go = gate();
    let told: unknown;
    await using one = process_(
      async function* run(_message, { signal }) {
        yield text('mine ');
        await go.opened;
        yield text('still mine');
        await new Promise((_resolve, reject) => {
          const end = () => {
            told = signal.reason;
            reject(signal.reason);
          };
          signal.addEventListener('abort', end, { once: true });
        });
      },
      { storage: place.storage, keeping: resuming, resumable: true },
    );
    const reader = await send(one.executions, one.of, 'slow', { streaming: true });
    await reader.recorded?.();
    await place.storage.runs?.resign(one.executions.journals.holder);
    assert.equal((await place.storage.runs?.claim('another', 5))?.length, 1);
    const before = await place.storage.tasks.get(reader.task.id);
    go.open();
    await assert.rejects(reader.settled(), (error) => errorCode(error) === 'task_lost');
    assert.equal(errorCode(told), 'task_lost', 'the agent is told to end');
    assert.deepEqual(await place.storage.tasks.get(reader.task.id), before, 'nothing was written of it');
  }));
