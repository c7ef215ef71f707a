import assert from 'node:assert/strict';
import { errorCode, foldChanges } from '../../core/index.ts';
import { reopened, type StorageConformance, withRuns } from './storage-harness.ts';
import {
  batches,
  conversation,
  ending,
  everything,
  idsOf,
  odd,
  said,
  session,
  start,
  status,
  stored,
  storedIn,
  text,
  textOf,
  timestamp,
} from './storage-samples.ts';

/** Tasks at work: begun, recorded and ended by who holds them, and by nobody else. */
export function testRuns(conformance: StorageConformance): void {
  const { reopen } = conformance;
  const test = withRuns(conformance);

  test('a run that is begun is held', async (runs, { tasks }) => {
    await runs.renew('one', 60_000);
    const run = start('a');
    assert.deepEqual(await runs.begin('one', [run]), []);
    assert.deepEqual(await tasks.get('a'), { ...run.task, version: 1, sequence: 0, holder: 'one' });
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_WORKING' }), ['a']);
    assert.deepEqual(await runs.begin('one', []), []);
  });

  test('a run goes on from the version it knows, as its task says', async (runs, { tasks }) => {
    await tasks.put(stored({ task: everything }));
    await tasks.put(stored({ task: everything }));
    const next = { ...everything, status: status('TASK_STATE_WORKING', 6).status, artifacts: [] };
    assert.deepEqual(await runs.begin('one', [{ task: stored({ task: next }), version: 2, request: '{}' }]), []);
    const found = await tasks.get(everything.id);
    assert.deepEqual(storedIn(found), stored({ task: next }));
    assert.equal(found?.version, 3);
    assert.equal(found?.holder, 'one');
  });

  test('what cannot be begun is told, and everything else is begun', async (runs, { tasks }) => {
    await tasks.put(stored({ id: 'there' }));
    await tasks.put(stored({ id: 'stored' }));
    await runs.begin('other', [start('held')]);
    const refused = await runs.begin('one', [
      start('new-1'),
      start('there', { at: 9 }),
      start('stored', { version: 1, at: 9 }),
      start('held', { at: 9 }),
      start('nowhere', { version: 1 }),
      start('new-2'),
    ]);
    assert.deepEqual([...refused].sort(), ['held', 'nowhere', 'there']);
    assert.deepEqual(await tasks.get('there'), { ...stored({ id: 'there' }), version: 1, sequence: 0 });
    assert.deepEqual(await tasks.get('held'), { ...start('held').task, version: 1, sequence: 0, holder: 'other' });
    assert.equal(await tasks.get('nowhere'), undefined);
    for (const id of ['new-1', 'new-2', 'stored']) assert.equal((await tasks.get(id))?.holder, 'one', id);
    assert.deepEqual(await runs.begin('one', [start('stored', { version: 2 })]), ['stored'], 'its own too');
    assert.deepEqual(await runs.begin('other', [start('held', { version: 1 })]), ['held']);
    assert.deepEqual(await runs.begin('one', [start('there', { version: 2 })]), ['there']);
  });

  test('one of many begins a run', async (runs, { tasks }) => {
    await tasks.put(stored({ id: 'stored' }));
    const holders = Array.from({ length: 8 }, (_, who) => `holder-${who}`);
    const refused = await Promise.all(
      holders.map((holder) => runs.begin(holder, [start('new'), start('stored', { version: 1 })])),
    );
    for (const id of ['new', 'stored']) {
      const through = holders.filter((_, who) => !refused[who]?.includes(id));
      assert.deepEqual(through, [(await tasks.get(id))?.holder], id);
    }
  });

  test('what is recorded is part of the task at once, in its order', async (runs, { tasks }) => {
    const base = { ...everything, status: status('TASK_STATE_SUBMITTED', 0).status };
    const begun = stored({ task: base });
    await runs.begin('one', [{ task: begun, version: 0, request: '{}' }]);
    let sequence = 0;
    for (let at = 1; at <= batches.length; at++) {
      assert.deepEqual(await runs.record('one', [{ taskId: base.id, changes: batches[at - 1] ?? [] }]), []);
      const found = await tasks.get(base.id);
      const expected = { ...begun, task: foldChanges(base, batches.slice(0, at).flat()) };
      assert.deepEqual(storedIn(found), expected);
      assert.ok((found?.sequence ?? 0) > sequence, 'the sequence grows');
      assert.equal(found?.version, 1);
      sequence = found?.sequence ?? 0;
      const { items } = await tasks.list({ owner: begun.owner, agent: begun.agent, pageSize: 5 });
      assert.deepEqual(items.map(storedIn), [expected]);
      const bare = await tasks.list({ owner: begun.owner, agent: begun.agent, pageSize: 5, artifacts: false });
      assert.deepEqual(bare.items.map(storedIn), [{ ...begun, task: { ...expected.task, artifacts: [] } }]);
    }
  });

  test('records of many tasks at once, and in many small batches', async (runs, { tasks }) => {
    const ids = Array.from({ length: 30 }, (_, at) => `task-${at}`);
    assert.deepEqual(
      await runs.begin(
        'one',
        ids.map((id) => start(id)),
      ),
      [],
    );
    for (let word = 0; word < 12; word++)
      assert.deepEqual(
        await runs.record(
          'one',
          ids.map((taskId) => ({ taskId, changes: [text(`${word} `), text(`${taskId} `)] })),
        ),
        [],
      );
    for (const id of ids) {
      const [artifact] = (await tasks.get(id))?.task.artifacts ?? [];
      assert.deepEqual(artifact?.parts, [{ text: Array.from({ length: 12 }, (_, word) => `${word} ${id} `).join('') }]);
    }
  });

  test('a batch that is repeated under its number is there once', async (runs, { tasks }) => {
    await runs.begin('one', [start('a')]);
    const first = { taskId: 'a', sequence: 1, changes: [text('one ')], checkpoint: '"first"' };
    for (let time = 0; time < 3; time++) assert.deepEqual(await runs.record('one', [first]), []);
    await runs.record('one', [{ taskId: 'a', sequence: 2, changes: [text('two ')] }]);
    await runs.record('one', [first]);
    await runs.record('one', [{ taskId: 'a', changes: [text('three')] }]);
    const found = await tasks.get('a');
    assert.deepEqual(found?.task.artifacts[0]?.parts, [{ text: 'one two three' }]);
    assert.equal(found?.sequence, 3);
    assert.deepEqual((await runs.follow('a', 1))?.changes, [text('two '), text('three')]);
  });

  test('whoever does not hold a task records nothing of it', async (runs, { tasks }) => {
    await runs.renew('one', 60_000);
    await runs.begin('one', [start('mine'), start('also-mine')]);
    await runs.begin('two', [start('theirs')]);
    await tasks.put(stored({ id: 'ended' }));
    const ids = ['mine', 'theirs', 'nowhere', 'ended', 'also-mine'];
    const lost = await runs.record(
      'one',
      ids.map((taskId) => ({ taskId, changes: [text(taskId), status('TASK_STATE_FAILED', 9)], checkpoint: '"mine"' })),
    );
    assert.deepEqual([...lost].sort(), ['ended', 'nowhere', 'theirs']);
    assert.deepEqual(await tasks.get('theirs'), { ...start('theirs').task, version: 1, sequence: 0, holder: 'two' });
    assert.deepEqual(await tasks.get('ended'), { ...stored({ id: 'ended' }), version: 1, sequence: 0 });
    assert.equal(await tasks.get('nowhere'), undefined);
    assert.deepEqual((await idsOf(tasks, { state: 'TASK_STATE_FAILED' })).sort(), ['also-mine', 'mine']);
    await runs.release('two', ['theirs']);
    const [claimed] = await runs.claim('three', 10);
    assert.equal(claimed?.task.task.id, 'theirs');
    assert.equal(claimed?.checkpoint, undefined);
  });

  test('a status that is recorded moves the task in every list', async (runs, { tasks }) => {
    await tasks.put(stored({ id: 'between', at: 5 }));
    await runs.begin('one', [start('a', { at: 1, state: 'TASK_STATE_SUBMITTED' })]);
    assert.deepEqual(await idsOf(tasks), ['between', 'a']);
    await runs.record('one', [
      { taskId: 'a', changes: [status('TASK_STATE_SUBMITTED', 2), status('TASK_STATE_WORKING', 9), text('more')] },
    ]);
    assert.deepEqual(await idsOf(tasks), ['a', 'between']);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_WORKING' }), ['a']);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_SUBMITTED' }), []);
    await runs.record('one', [{ taskId: 'a', changes: [text('and more')] }]);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_WORKING' }), ['a']);
    await runs.end('one', ending('a', [], 'TASK_STATE_INPUT_REQUIRED', 3));
    assert.deepEqual(await idsOf(tasks), ['between', 'a']);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_INPUT_REQUIRED' }), ['a']);
  });

  test('a run that is ended is final, with all that was recorded', async (runs, { tasks }) => {
    const { task } = start('a');
    await runs.begin('one', [start('a')]);
    await runs.record('one', [{ taskId: 'a', changes: batches[0] ?? [] }]);
    const before = (await tasks.get('a'))?.sequence ?? 0;
    const end = ending('a', batches.slice(1).flat());
    assert.equal(await runs.end('one', end), true);
    const found = await tasks.get('a');
    assert.deepEqual(storedIn(found), {
      ...task,
      task: foldChanges(task.task, [...(batches[0] ?? []), ...end.changes]),
    });
    assert.equal(found?.version, 2);
    assert.equal(found?.holder, undefined);
    assert.ok((found?.sequence ?? 0) > before);
    assert.deepEqual(await idsOf(tasks, { state: 'TASK_STATE_COMPLETED' }), ['a']);
    assert.equal(await runs.end('one', ending('a', [text('again')])), false);
    assert.deepEqual(await runs.record('one', [{ taskId: 'a', changes: [text('late')] }]), ['a']);
    assert.deepEqual(await tasks.get('a'), found);
    assert.deepEqual(await runs.claim('two', 10), []);
  });

  test('whoever does not hold a task does not end it, and appends nothing', async (runs, { tasks, sessions }) => {
    await runs.begin('one', [start('a')]);
    await tasks.put(stored({ id: 'ended' }));
    const found = await tasks.get('a');
    const appends = [{ key: session, messages: [said('never')] }];
    assert.equal(await runs.end('two', { ...ending('a', [text('x')]), appends }), false);
    assert.equal(await runs.end('two', { ...ending('ended', [text('x')]), appends }), false);
    assert.equal(await runs.end('one', { ...ending('ended', [text('x')]), appends }), false);
    assert.equal(await runs.end('one', { ...ending('nowhere', [text('x')]), appends }), false);
    assert.deepEqual(await tasks.get('a'), found);
    assert.deepEqual(await sessions.history(session), []);
    assert.equal(await tasks.get('nowhere'), undefined);
  });

  test('what a run has said joins its conversations when it ends', async (runs, { tasks, sessions }) => {
    await runs.begin('one', [start('a'), start('b')]);
    await sessions.append(session, [said('before')]);
    const other = { ...session, agent: 'reader' };
    const appends = [
      { key: session, messages: [said('one'), said('two')] },
      { key: other, messages: conversation },
    ];
    const [a, b] = await Promise.all([
      runs.end('one', { ...ending('a'), appends }),
      runs.end('one', { ...ending('b'), appends: [{ key: session, messages: [said('three'), said('four')] }] }),
    ]);
    assert.deepEqual([a, b], [true, true]);
    const texts = (await sessions.history(session)).map(textOf).join();
    assert.ok(['before,one,two,three,four', 'before,three,four,one,two'].includes(texts), texts);
    assert.deepEqual(await sessions.history(other), conversation);
    assert.deepEqual((await idsOf(tasks, { state: 'TASK_STATE_COMPLETED' })).sort(), ['a', 'b']);
  });

  test('a task that is held is not put where a version is expected, and is replaced where none is', async (runs, all) => {
    const { tasks, sessions } = all;
    await runs.begin('one', [start('a')]);
    await runs.record('one', [{ taskId: 'a', changes: [text('working')], checkpoint: '"there"' }]);
    const found = await tasks.get('a');
    const appends = [{ key: session, messages: [said('never')] }];
    for (const expected of [0, 1, 2])
      await assert.rejects(
        tasks.put(stored({ id: 'a', at: 9 }), { expected, appends }),
        (error) => errorCode(error) === 'storage_conflict',
      );
    assert.deepEqual(await tasks.get('a'), found);
    assert.deepEqual(await sessions.history(session), []);
    await tasks.put(stored({ id: 'a', at: 9 }));
    const replaced = await tasks.get('a');
    assert.deepEqual(storedIn(replaced), stored({ id: 'a', at: 9 }));
    assert.equal(replaced?.version, 2);
    assert.equal(replaced?.holder, undefined);
    assert.ok((replaced?.sequence ?? 0) >= (found?.sequence ?? 0), 'the sequence never falls');
    assert.deepEqual(await runs.record('one', [{ taskId: 'a', changes: [text('late')] }]), ['a']);
    assert.equal(await runs.end('one', ending('a')), false);
    assert.deepEqual(await runs.claim('two', 10), []);
    assert.deepEqual(storedIn(await tasks.get('a')), stored({ id: 'a', at: 9 }));
  });

  test('a task that has ended goes on under another holder, and its sequence with it', async (runs, { tasks }) => {
    await runs.begin('one', [start('a')]);
    await runs.record('one', [{ taskId: 'a', changes: [text('one', false)], checkpoint: '"old"' }]);
    await runs.end('one', ending('a', [text(' two')], 'TASK_STATE_INPUT_REQUIRED'));
    const asked = await tasks.get('a');
    assert.ok(asked);
    const task = { ...asked.task, status: status('TASK_STATE_WORKING', 60).status };
    assert.deepEqual(await runs.begin('two', [{ task: stored({ task }), version: 1, request: '{}' }]), ['a']);
    assert.deepEqual(await runs.begin('two', [{ task: stored({ task }), version: asked.version, request: '{}' }]), []);
    const going = await tasks.get('a');
    assert.deepEqual(storedIn(going), stored({ task }));
    assert.ok((going?.sequence ?? 0) >= asked.sequence);
    assert.deepEqual(await runs.record('one', [{ taskId: 'a', changes: [text('late')] }]), ['a']);
    assert.deepEqual(await runs.record('two', [{ taskId: 'a', changes: [text(' three')] }]), []);
    const more = await tasks.get('a');
    assert.deepEqual(more?.task, foldChanges(task, [text(' three')]));
    assert.ok((more?.sequence ?? 0) > asked.sequence, 'the sequence grows on');
    const news = await runs.follow('a', asked.sequence);
    assert.deepEqual(news, { sequence: more?.sequence, changes: [text(' three')], held: true });
    assert.equal(await runs.end('two', ending('a', [text(' four')], 'TASK_STATE_COMPLETED', 70)), true);
    assert.equal((await tasks.get('a'))?.version, asked.version + 2);
    assert.deepEqual((await tasks.get('a'))?.task.artifacts[0]?.parts, [{ text: 'one two three four' }]);
  });

  test('runs whose names and texts are long or odd are kept all the same', async (runs, { tasks }) => {
    for (const [at, name] of odd.entries()) {
      const { task } = stored({ id: name, contextId: name, state: 'TASK_STATE_WORKING' });
      const request = JSON.stringify({ name });
      assert.deepEqual(
        await runs.begin('one', [{ task: stored({ task, owner: name, agent: name }), version: 0, request }]),
        [],
      );
      const checkpoint = JSON.stringify([name, at === 0 ? 'x'.repeat(1024 ** 2) : at]);
      assert.deepEqual(await runs.record('one', [{ taskId: name, changes: [text(name)], checkpoint }]), []);
      assert.equal(await runs.requestCancel(name), true);
      assert.deepEqual(await runs.cancelRequests('one'), [name]);
      await runs.release('one', [name]);
      const [claimed, ...others] = await runs.claim('one', 5);
      assert.deepEqual(others, []);
      assert.deepEqual([claimed?.task.task.id, claimed?.request, claimed?.checkpoint], [name, request, checkpoint]);
      const appends = [{ key: { owner: name, agent: name, contextId: name }, messages: [said(name)] }];
      assert.equal(await runs.end('one', { ...ending(name), appends }), true);
      const expected = foldChanges(task, [text(name), status('TASK_STATE_COMPLETED', 50)]);
      assert.deepEqual(storedIn(await tasks.get(name)), stored({ task: expected, owner: name, agent: name }));
      assert.deepEqual(await idsOf(tasks, { owner: name, agent: name, contextId: name }), [name]);
    }
  });

  test('prunes no task at work', async (runs, backend) => {
    if (!backend.prune) return;
    const { signal } = new AbortController();
    await runs.begin('one', [start('a', { at: 1 }), start('b', { at: 1 })]);
    await runs.record('one', [{ taskId: 'b', changes: [text('gone')] }]);
    assert.equal((await backend.prune({ tasksBefore: timestamp(90) }, signal)).tasks, 0);
    await runs.end('one', ending('b'));
    assert.equal((await backend.prune({ tasksBefore: timestamp(90) }, signal)).tasks, 1);
    assert.equal(await backend.tasks.get('b'), undefined);
    assert.equal(await runs.follow('b', 0), undefined);
    assert.deepEqual(await runs.begin('one', [start('b')]), [], 'there is none of that name');
    assert.deepEqual(await backend.tasks.get('b'), { ...start('b').task, version: 1, sequence: 0, holder: 'one' });
    assert.deepEqual(await runs.record('one', [{ taskId: 'a', changes: [text('still at work')] }]), []);
  });

  if (!reopen) return;

  test('another process sees a task at work, and can do nothing to it but ask', async (runs, { tasks }) => {
    await runs.renew('one', 60_000);
    await runs.begin('one', [start('a')]);
    await runs.record('one', [{ taskId: 'a', changes: [text('here')], checkpoint: '"here"' }]);
    await reopened(reopen, async (again) => {
      assert.deepEqual(await again.tasks.get('a'), await tasks.get('a'));
      assert.deepEqual(await again.runs?.record('two', [{ taskId: 'a', changes: [text('there')] }]), ['a']);
      assert.equal(await again.runs?.end('two', ending('a')), false);
      assert.deepEqual(await again.runs?.claim('two', 10), []);
      assert.equal(await again.runs?.requestCancel('a'), true);
      assert.deepEqual(await runs.cancelRequests('one'), ['a']);
      assert.equal(await runs.end('one', ending('a', [], 'TASK_STATE_CANCELED')), true);
      assert.equal((await again.tasks.get('a'))?.task.status.state, 'TASK_STATE_CANCELED');
      assert.deepEqual((await again.runs?.follow('a', 0))?.changes, [
        text('here'),
        ...ending('a', [], 'TASK_STATE_CANCELED').changes,
      ]);
    });
  });
}
