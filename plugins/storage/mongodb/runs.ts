import type { RunEnd, RunStart, RunStore, RunUpdate, StoredTask, TaskChange } from '../../../core/index.ts';
import { indexed } from '../sql/names.ts';
import { cancelling } from './cancels.ts';
import { claiming } from './claims.ts';
import type { MongoDatabase } from './database.ts';
import { following } from './follow.ts';
import { HeldRuns } from './held-runs.ts';
import { type OwedAppends, owedFor } from './owed.ts';
import { Replicas } from './replicas.ts';
import { contentOf, incarnationOf, type LogState, stateOf, statusFields, statusIn, textsOf } from './task-document.ts';
import { type Draft, type Known, type TaskLog, unavailable } from './task-log.ts';
import { newTask } from './tasks.ts';

export function runStore(database: MongoDatabase, log: TaskLog, owed: OwedAppends): RunStore {
  const replicas = new Replicas(database);
  const held = new HeldRuns(log);
  const cancels = cancelling(database, log);
  const timeFor = (taskId: string) => {
    const deadline = performance.now() + database.operationMs;
    return () => {
      if (performance.now() > deadline) throw unavailable(database, taskId);
    };
  };

  async function beginNew(holder: string, runs: readonly RunStart[]): Promise<readonly string[]> {
    const documents = runs.map(({ task, request }) => {
      const document = newTask(task, { holder }, { request, work: holder });
      check(database, task, [...textsOf(document)]);
      return document;
    });
    const refused = await log.create(documents);
    for (const [index, document] of documents.entries())
      if (!refused.has(index))
        held.add(holder, {
          id: document._id,
          incarnation: incarnationOf(document),
          state: stateOf(document),
          owes: false,
          isAtBase: true,
        });
    return runs.flatMap(({ task }, index) => (refused.has(index) ? [task.task.id] : []));
  }

  /** Whether it could be had. */
  async function beginAgain(holder: string, { task: stored, version, request }: RunStart): Promise<boolean> {
    const { task } = stored;
    const content = contentOf(stored, request);
    check(database, stored, textsOf(content));
    const status = statusFields(task.id, task.status);
    for (const checkTime = timeFor(task.id); ; checkTime()) {
      const known = await log.load(indexed(task.id));
      if (known?.state.version !== version || known.state.holder !== undefined) return false;
      // What was said before comes before what this run will say.
      if (known.owes) await owed.settle(known);
      const n = known.state.n + 1;
      const { sequence } = known.state;
      const savedAt = new Date().toISOString();
      const state: LogState = { n, version: version + 1, sequence, holder, ...status, base: n, claims: 0, savedAt };
      const draft = { state, content };
      if ((await log.insert([{ known, draft }])).size > 0) {
        await log.catchUp(known);
        continue;
      }
      if (!(await log.forward([{ known, draft }])) && !(await log.isPart(known, n))) return false;
      held.add(holder, { ...known, state, owes: false, isAtBase: true });
      await log.dropBefore(known, n);
      return true;
    }
  }

  /**
   * Writes what `draftOf` makes of each run that the holder holds. Returns those that were written, as they are then, and the
   * ids of those that it does not hold.
   */
  async function write(holder: string, taskIds: readonly string[], draftOf: (known: Known, index: number) => Draft) {
    const lost: number[] = [];
    const written: { readonly index: number; readonly before: Known; readonly known: Known; readonly draft: Draft }[] =
      [];
    const checkTime = timeFor(taskIds[0] ?? '');
    for (let open = [...taskIds.keys()]; open.length > 0; checkTime()) {
      // Of one task one at a time, since each follows the one before.
      const now = [...new Map(open.toReversed().map((index) => [taskIds[index], index])).values()].sort(
        (a, b) => a - b,
      );
      const found = await Promise.all(now.map((index) => held.find(holder, indexed(taskIds[index] ?? ''))));
      const next = now.flatMap((index, at) => {
        const before = found[at];
        if (before) return [{ index, before, draft: draftOf(before, index) }];
        lost.push(index);
        return [];
      });
      const refused = await held.unlessUnknown(holder, next, () =>
        log.insert(next.map(({ before, draft }) => ({ known: before, draft }))),
      );
      const done = new Set(lost);
      for (const [at, { index, before, draft }] of next.entries()) {
        const known = { ...before, state: draft.state };
        if (refused.has(at)) {
          held.delete(holder, before.id);
          continue;
        }
        written.push({ index, before, known, draft });
        done.add(index);
        if (draft.state.holder === holder) held.add(holder, known);
        else held.delete(holder, before.id);
      }
      open = open.filter((index) => !done.has(index));
    }
    return { written, lost: [...new Set(lost.map((index) => taskIds[index] ?? ''))] };
  }

  return {
    async renew(holder, leaseMs) {
      await replicas.renew(holder, leaseMs);
      await owed.retry();
    },

    resign: (holder) => replicas.resign(holder),

    async begin(holder, runs) {
      const fresh = runs.filter(({ version }) => version === 0);
      const stored = runs.filter(({ version }) => version !== 0);
      const [refused, begun] = await Promise.all([
        beginNew(holder, fresh),
        Promise.all(stored.map((run) => beginAgain(holder, run))),
      ]);
      return [...refused, ...stored.flatMap(({ task }, index) => (begun[index] ? [] : [task.task.id]))];
    },

    async record(holder, updates) {
      const texts = updates.map(({ taskId, changes, checkpoint }) => {
        const json = changesJson(changes);
        database.checkSize(`what is recorded of the task "${taskId}"`, [json ?? '', checkpoint ?? '']);
        return json;
      });
      const { written, lost } = await write(
        holder,
        updates.map(({ taskId }) => taskId),
        ({ state }, index) => recording(state, updates[index] as RunUpdate, texts[index]),
      );
      // It is recorded, and whoever is told that it may not be would record it again: what follows can wait.
      await owed.later(
        written.map(({ known }) => known),
        async () => {
          await log.forward(written.filter(({ draft: { says } }) => says));
          await log.dropCheckpoints(
            written.flatMap(({ before, draft: { checkpoint } }) => (checkpoint === undefined ? [] : [before])),
          );
        },
      );
      return lost;
    },

    async end(holder, end) {
      const { taskId, appends } = end;
      const json = changesJson(end.changes);
      const owes = owedFor(database, appends);
      database.checkSize(`what is recorded of the task "${taskId}"`, [json ?? '', owes ?? '']);
      const draft = ({ state }: Known) => ending(state, end, json, owes);
      const { written } = await write(holder, [taskId], draft);
      const [done] = written;
      if (!done) return false;
      await owed.finishing(done.known, async () => {
        const { n } = done.known.state;
        // Its conversations do not wait for the list, nor the list for them.
        await Promise.all([log.forward([done]), owes !== undefined && owed.add(done.known, n, owes)]);
        await Promise.all([
          owes !== undefined && owed.clear(done.known, n, [n]),
          log.dropCheckpoints([done.before]),
          cancels.forget(done.before),
        ]);
      });
      return true;
    },

    async release(holder, taskIds) {
      const released = ({ state }: Known): Draft => ({ state: { ...state, n: state.n + 1, holder: '' } });
      const { written } = await write(holder, taskIds, released);
      await log.forward(written);
    },

    claim: claiming(database, log, { replicas, held, owed }),
    requestCancel: cancels.request,
    cancelRequests: cancels.requested,
    follow: following(database),
  };
}

function recording(state: LogState, update: RunUpdate, text: string | undefined): Draft {
  const { taskId, checkpoint } = update;
  const isThere = update.sequence !== undefined && state.sequence >= update.sequence;
  const json = isThere ? undefined : text;
  const status = statusIn(taskId, isThere ? [] : update.changes);
  const n = state.n + 1;
  return {
    state: {
      ...state,
      n,
      sequence: state.sequence + (json === undefined ? 0 : 1),
      ...status,
      ...(checkpoint !== undefined && { checkpointAt: n, savedAt: new Date().toISOString() }),
    },
    ...(json !== undefined && { changes: json }),
    ...(status.state !== undefined && { says: true }),
    ...(checkpoint !== undefined && { checkpoint }),
  };
}

function ending(
  state: LogState,
  { taskId, status }: RunEnd,
  json: string | undefined,
  owes: string | undefined,
): Draft {
  const { holder: _holder, checkpointAt: _checkpoint, ...kept } = state;
  return {
    state: {
      ...kept,
      n: state.n + 1,
      version: state.version + 1,
      sequence: state.sequence + (json === undefined ? 0 : 1),
      ...statusFields(taskId, status),
    },
    ...(json !== undefined && { changes: json, says: true }),
    ...(owes !== undefined && { owed: owes }),
  };
}

const changesJson = (changes: readonly TaskChange[]) => (changes.length === 0 ? undefined : JSON.stringify(changes));

const check = (database: MongoDatabase, { task }: StoredTask, texts: readonly string[]) =>
  database.checkSize(`the task "${task.id}"`, texts);
