import assert from 'node:assert/strict';
import { foldChanges, type RunStore } from '../../core/index.ts';
import { type StorageConformance, withRuns } from './storage-harness.ts';
import { ending, eventually, pass, start, status, storedIn, text } from './storage-samples.ts';

/** What becomes of a task whose holder is gone, and what others see of one that is held. */
export function testClaims(conformance: StorageConformance): void {
  const test = withRuns(conformance);

  test('nobody claims what a live holder holds', async (runs) => {
    await runs.renew('one', 60_000);
    await runs.renew('two', 60_000);
    await runs.begin('one', [start('a')]);
    assert.deepEqual(await runs.claim('two', 10), []);
  });

  test('a run that was released goes to who claims it, with what it can be continued from', async (runs, { tasks }) => {
    await runs.renew('one', 60_000);
    await runs.renew('two', 60_000);
    await runs.begin('one', [start('a'), start('stays')]);
    await runs.begin('two', [start('theirs')]);
    await runs.record('one', [{ taskId: 'a', changes: [text('some', false)], checkpoint: '{"at":1}' }]);
    await runs.record('one', [{ taskId: 'a', changes: [], checkpoint: '{"at":2}' }]);
    await runs.record('one', [{ taskId: 'a', changes: [text(' more'), status('TASK_STATE_WORKING', 8)] }]);
    await runs.release('one', ['a', 'theirs', 'nowhere']);
    const released = await tasks.get('a');
    assert.equal(released?.holder, '', 'nobody holds it, and it has not ended');
    assert.equal((await tasks.get('theirs'))?.holder, 'two');
    assert.equal((await runs.follow('a', 0))?.held, true);
    const claimed = await runs.claim('two', 10);
    assert.equal(claimed.length, 1);
    const [run] = claimed;
    const { task, request } = start('a');
    const changes = [text('some'), text(' more'), status('TASK_STATE_WORKING', 8)];
    assert.deepEqual(storedIn(run?.task), { ...task, task: foldChanges(task.task, changes) });
    assert.deepEqual(run?.task, await tasks.get('a'));
    assert.deepEqual([run?.task.holder, run?.task.version], ['two', 2]);
    assert.deepEqual([run?.request, run?.checkpoint, run?.claims], [request, '{"at":2}', 1]);
    assert.deepEqual(await runs.claim('two', 10), []);
    assert.deepEqual(await runs.record('two', [{ taskId: 'a', changes: [text(' and')] }]), []);
    assert.equal(await runs.end('two', ending('a', [text(' on')])), true);
    assert.deepEqual((await tasks.get('a'))?.task.artifacts[0]?.parts, [{ text: 'some more and on' }]);
    assert.equal((await tasks.get('stays'))?.holder, 'one');
  });

  test('whoever held a run that was released or claimed writes nothing of it any more', async (runs, { tasks }) => {
    await runs.renew('two', 60_000);
    await runs.begin('one', [start('a')]);
    const refuses = async (found: unknown) => {
      assert.deepEqual(await runs.record('one', [{ taskId: 'a', changes: [text('late')], checkpoint: '"late"' }]), [
        'a',
      ]);
      assert.equal(await runs.end('one', ending('a', [text('late')])), false);
      assert.deepEqual(await tasks.get('a'), found);
    };
    await runs.release('one', ['a']);
    await refuses(await tasks.get('a'));
    assert.deepEqual(await runs.begin('one', [start('a', { version: 1 })]), ['a'], 'it is to be claimed');
    const [claimed] = await runs.claim('two', 1);
    await refuses(claimed?.task);
    await runs.release('one', ['a']);
    assert.equal((await tasks.get('a'))?.holder, 'two');
    await runs.release('two', ['a']);
    const [again] = await runs.claim('three', 1);
    assert.equal(again?.checkpoint, undefined);
  });

  test('a holder that never said that it is alive, or that it is no longer, has lost its runs', async (runs) => {
    await runs.renew('two', 60_000);
    await runs.begin('never', [start('a')]);
    assert.deepEqual(idsIn(await runs.claim('two', 10)), ['a']);
    await runs.renew('gone', 60_000);
    await runs.begin('gone', [start('b'), start('c')]);
    assert.deepEqual(await runs.claim('two', 10), []);
    await runs.resign('gone');
    assert.deepEqual(idsIn(await runs.claim('two', 10)), ['b', 'c']);
    await runs.resign('nobody');
    await runs.renew('gone', 60_000);
    await runs.begin('gone', [start('d')]);
    assert.deepEqual(await runs.claim('two', 10), [], 'it is back');
  });

  test('a holder whose lease has run out has lost its runs once they are claimed', async (runs, { tasks }) => {
    await runs.renew('two', 60_000);
    for (const holder of ['kept', 'back', 'late']) {
      await runs.renew(holder, 100);
      await runs.begin(holder, [start(`of-${holder}`)]);
    }
    await runs.renew('kept', 60_000);
    const claimed = await eventually('a lease has run out', async () => {
      const [run] = await runs.claim('two', 1);
      return run;
    });
    const [lost, other] = claimed.task.task.id === 'of-late' ? ['late', 'back'] : ['back', 'late'];
    assert.equal(claimed.task.task.id, `of-${lost}`);
    await runs.renew(lost, 60_000);
    assert.deepEqual(await runs.record(lost, [{ taskId: `of-${lost}`, changes: [text('late')] }]), [`of-${lost}`]);
    assert.equal(await runs.end(lost, ending(`of-${lost}`)), false);
    // Both were renewed at about the same time; what nobody has claimed is still its holder's.
    assert.deepEqual(await runs.record(other, [{ taskId: `of-${other}`, changes: [text('mine')] }]), []);
    await eventually('the other lease has run out', async () => (await runs.claim('two', 10)).length > 0 || undefined);
    assert.deepEqual(await runs.claim('two', 10), []);
    assert.equal((await tasks.get('of-kept'))?.holder, 'kept');
  });

  test('counts the claims of a run, and says when it was saved', async (runs, { tasks }) => {
    await runs.begin('one', [start('a')]);
    const first = await handOver(runs, 'one', 'two');
    assert.equal(new Date(first?.savedAt ?? '').toISOString(), first?.savedAt);
    await pass();
    await runs.record('two', [{ taskId: 'a', changes: [text('no checkpoint')] }]);
    const second = await handOver(runs, 'two', 'three');
    assert.equal(second?.savedAt, first?.savedAt);
    await pass();
    await runs.record('three', [{ taskId: 'a', changes: [], checkpoint: '"third"' }]);
    const third = await handOver(runs, 'three', 'one');
    assert.ok((third?.savedAt ?? '') > (first?.savedAt ?? ''));
    assert.deepEqual(
      [first, second, third].map((run) => run?.claims),
      [1, 2, 3],
    );
    assert.deepEqual(
      [first, second, third].map((run) => run?.task.version),
      [2, 3, 4],
    );
    assert.equal(await runs.end('one', ending('a')), true);
    assert.equal((await tasks.get('a'))?.version, 5);
    const anew = { ...start('a', { version: 5, at: 60 }), request: '"another"' };
    assert.deepEqual(await runs.begin('one', [anew]), []);
    const next = await handOver(runs, 'one', 'two');
    assert.deepEqual([next?.request, next?.checkpoint, next?.claims], ['"another"', undefined, 1], 'it is another run');
  });

  test('each run goes to one of those who claim at the same time', async (runs) => {
    const ids = Array.from({ length: 50 }, (_, at) => `task-${String(at).padStart(2, '0')}`);
    assert.deepEqual(
      await runs.begin(
        'gone',
        ids.map((id) => start(id)),
      ),
      [],
    );
    await runs.record(
      'gone',
      ids.map((taskId) => ({ taskId, changes: [text(taskId)], checkpoint: JSON.stringify(taskId) })),
    );
    const holders = ['one', 'two', 'three', 'four'];
    for (const holder of holders) await runs.renew(holder, 60_000);
    const shares = new Map(holders.map((holder) => [holder, [] as string[]]));
    await eventually('all are claimed', async () => {
      const claimed = await Promise.all(holders.map((holder) => runs.claim(holder, 8)));
      for (const [at, holder] of holders.entries()) {
        const got = claimed[at] ?? [];
        assert.ok(got.length <= 8, 'no more than wanted');
        for (const { task, checkpoint, claims } of got) {
          assert.deepEqual([task.holder, checkpoint, claims], [holder, JSON.stringify(task.task.id), 1]);
          assert.deepEqual(task.task.artifacts[0]?.parts, [{ text: task.task.id }]);
          shares.get(holder)?.push(task.task.id);
        }
      }
      return [...shares.values()].flat().length >= ids.length || undefined;
    });
    assert.deepEqual([...shares.values()].flat().sort(), ids);
    for (const holder of holders) {
      const mine = new Set(shares.get(holder));
      const lost = await runs.record(
        holder,
        ids.map((taskId) => ({ taskId, changes: [text('!')] })),
      );
      assert.deepEqual(
        [...lost].sort(),
        ids.filter((id) => !mine.has(id)),
        'they know what is theirs',
      );
    }
  });

  test('asks the holder of a task to cancel it', async (runs, { tasks }) => {
    await runs.renew('two', 60_000);
    await runs.begin('one', [start('a'), start('b'), start('c')]);
    await runs.begin('two', [start('theirs')]);
    assert.deepEqual(await runs.cancelRequests('one'), []);
    assert.equal(await runs.requestCancel('nowhere'), false);
    for (const id of ['a', 'b', 'theirs', 'a']) assert.equal(await runs.requestCancel(id), true);
    assert.deepEqual([...(await runs.cancelRequests('one'))].sort(), ['a', 'b']);
    assert.deepEqual([...(await runs.cancelRequests('one'))].sort(), ['a', 'b'], 'until they have ended');
    assert.deepEqual(await runs.cancelRequests('two'), ['theirs']);
    assert.equal((await tasks.get('a'))?.version, 1);
    assert.equal(await runs.end('one', ending('a', [], 'TASK_STATE_CANCELED')), true);
    assert.equal(await runs.requestCancel('a'), false, 'nobody holds it');
    assert.deepEqual(await runs.cancelRequests('one'), ['b']);
    await runs.begin('one', [start('a', { version: 2 })]);
    assert.deepEqual(await runs.cancelRequests('one'), ['b'], 'the run that goes on was not to be cancelled');
    await runs.release('one', ['b', 'c']);
    assert.deepEqual(await runs.cancelRequests('one'), []);
    assert.equal(await runs.requestCancel('c'), true, 'whoever claims it is asked');
    assert.deepEqual(
      idsIn(await runs.claim('two', 10)).filter((id) => id !== 'a'),
      ['b', 'c'],
    );
    assert.deepEqual([...(await runs.cancelRequests('two'))].sort(), ['b', 'c', 'theirs']);
  });

  test('follows what is recorded of a task', async (runs, { tasks }) => {
    assert.equal(await runs.follow('nowhere', 0), undefined);
    await runs.begin('one', [start('a')]);
    assert.deepEqual(await runs.follow('a', 0), { sequence: 0, changes: [], held: true });
    const steps = [[text('one', false)], [text(' two'), status('TASK_STATE_WORKING', 5)], [text(' three')]];
    const sequences = [0];
    for (const changes of steps) {
      await runs.record('one', [{ taskId: 'a', changes }]);
      sequences.push((await runs.follow('a', sequences.at(-1) ?? 0))?.sequence ?? 0);
    }
    const last = ending('a', [text(' end')]);
    await runs.record('one', [{ taskId: 'a', changes: [], checkpoint: '"nothing to see"' }]);
    const kept = await runs.follow('a', 0);
    assert.deepEqual([kept?.changes, kept?.held], [steps.flat(), true]);
    await runs.end('one', last);
    steps.push([...last.changes]);
    const { sequence } = (await tasks.get('a')) ?? {};
    for (const [at, after] of sequences.entries())
      assert.deepEqual(
        await runs.follow('a', after),
        { sequence, changes: steps.slice(at).flat(), held: false },
        `${at}`,
      );
    assert.deepEqual(
      [...sequences, sequence ?? 0],
      [...new Set([...sequences, sequence ?? 0])].sort((a, b) => a - b),
    );
    assert.deepEqual(await runs.follow('a', sequence ?? 0), { sequence, changes: [], held: false });
  });

  test('one that follows a task loses nothing, and sees nothing twice, while it is recorded', async (runs, {
    tasks,
  }) => {
    await runs.begin('one', [start('a')]);
    const words = Array.from({ length: 40 }, (_, at) => `${at} `);
    const seen: unknown[] = [];
    let after = 0;
    const following = eventually('nobody holds it any more', async () => {
      const news = await runs.follow('a', after);
      assert.ok(news && news.sequence >= after);
      seen.push(...news.changes);
      after = news.sequence;
      return news.held ? undefined : seen;
    });
    const recording = (async () => {
      for (const word of words) await runs.record('one', [{ taskId: 'a', changes: [text(word)] }]);
      await runs.end('one', ending('a'));
    })();
    await Promise.all([following, recording]);
    assert.deepEqual(seen, [...words.map((word) => text(word)), ...ending('a').changes]);
    assert.deepEqual((await tasks.get('a'))?.task.artifacts[0]?.parts, [{ text: words.join('') }]);
  });

  test('wakes who watches when something happens to a task', async (runs) => {
    if (!runs.watch) return;
    await runs.begin('one', [start('a')]);
    let woken = 0;
    {
      using _watch = runs.watch((taskId) => {
        if (taskId === undefined || taskId === 'a') woken++;
      });
      // A hint may be missed while the watch is being set up.
      await eventually('it is woken', async () => {
        await runs.record('one', [{ taskId: 'a', changes: [text('more ')] }]);
        await pass();
        return woken > 0 || undefined;
      });
    }
    const before = woken;
    await runs.record('one', [{ taskId: 'a', changes: [text('unseen')] }]);
    await runs.end('one', ending('a'));
    assert.equal(woken, before, 'a watch that was disposed wakes nobody');
  });
}

const idsIn = (claimed: Awaited<ReturnType<RunStore['claim']>>) => claimed.map(({ task }) => task.task.id).sort();

/** The only run of one to another. */
async function handOver(runs: RunStore, from: string, to: string) {
  await runs.release(from, ['a']);
  const [run] = await runs.claim(to, 1);
  return run;
}
