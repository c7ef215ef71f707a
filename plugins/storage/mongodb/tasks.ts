import { randomUUID } from 'node:crypto';
import type { Filter } from 'mongodb';
import { HectorError, type PutOptions, type StoredTask, type TaskStore } from '../../../core/index.ts';
import { indexed } from '../sql/names.ts';
import { decodeToken, pageOf } from '../sql/page-token.ts';
import type { MongoDatabase } from './database.ts';
import { type OwedAppends, owedFor } from './owed.ts';
import {
  contentOf,
  type EntryDocument,
  entriesFrom,
  foundTask,
  incarnationOf,
  isAtRest,
  type LogState,
  stateOf,
  statusFields,
  storedTask,
  type TaskDocument,
  textsOf,
} from './task-document.ts';
import { type Known, type TaskLog, unavailable } from './task-log.ts';

export function taskStore(database: MongoDatabase, log: TaskLog, owed: OwedAppends): TaskStore {
  const { tasks } = database;
  return {
    async get(taskId) {
      const projection = { owed: 0, request: 0 };
      const found = await database.run((limits) => tasks.findOne({ _id: indexed(taskId) }, { ...limits, projection }));
      return found ? foundTask(found as TaskDocument, await log.entries(found as TaskDocument)) : undefined;
    },

    put: (stored, options = {}) => put(database, log, owed, stored, options),

    async list({ owner, agent, contextId, state, artifacts = true, pageSize, pageToken }) {
      const filter: Filter<TaskDocument> = {
        owner: indexed(owner),
        agent: indexed(agent),
        ...(contextId === undefined ? {} : { contextId: indexed(contextId) }),
        ...(state === undefined ? {} : { state }),
      };
      if (pageToken !== undefined) {
        const [at, id] = decodeToken(pageToken, 2) as [string, string];
        filter.$or = [{ statusAt: { $lt: at } }, { statusAt: at, _id: { $gt: id } }];
      }
      const projection = { owed: 0, request: 0, ...(!artifacts && { artifacts: 0 }) };
      const found = await database.run((limits) =>
        tasks
          .find(filter, { ...limits, projection })
          .sort({ statusAt: -1, _id: 1 })
          .limit(pageSize + 1)
          .toArray(),
      );
      const documents = found as TaskDocument[];
      const entries = await entriesOf(database, documents.slice(0, pageSize), artifacts);
      return pageOf(
        documents,
        pageSize,
        ({ statusAt, _id }) => [statusAt, _id],
        (document) => storedTask(document, entries.get(incarnationOf(document)), { artifacts }),
      );
    },
  };
}

/** By the incarnation of their task. Without artifacts, those only that say something of the rest of it. */
async function entriesOf(database: MongoDatabase, documents: readonly TaskDocument[], artifacts: boolean) {
  const of = new Map<string, EntryDocument[]>();
  const worked = documents.filter((document) => !isAtRest(document));
  if (worked.length === 0) return of;
  const filter: Filter<EntryDocument> = {
    $or: worked.map((document) => entriesFrom(incarnationOf(document), (document.base ?? 0) + 1)),
  };
  if (!artifacts) filter.$and = [{ $or: [{ says: true }, { content: { $exists: true } }] }];
  const projection = {
    ...{ checkpoint: 0, owed: 0, 'content.request': 0 },
    ...(!artifacts && { 'content.artifacts': 0 }),
  };
  const found = await database.run((limits) =>
    database.log
      .find(filter, { ...limits, projection })
      .sort({ _id: 1 })
      .toArray(),
  );
  for (const entry of found as EntryDocument[]) {
    const incarnation = entry._id.slice(0, entry._id.lastIndexOf(':'));
    const own = of.get(incarnation);
    if (own) own.push(entry);
    else of.set(incarnation, [entry]);
  }
  return of;
}

/** A new task, whose document is the beginning of its log. */
export function newTask(stored: StoredTask, state: Partial<LogState>, more: Partial<TaskDocument>): TaskDocument {
  const { task } = stored;
  const fields = { _id: indexed(task.id), ...statusFields(task.id, task.status), savedAt: new Date().toISOString() };
  return {
    incarnation: randomUUID(),
    ...stateOf({ ...fields, ...state }),
    _id: fields._id,
    ...contentOf(stored, more.request),
    ...more,
  };
}

async function put(
  database: MongoDatabase,
  log: TaskLog,
  owed: OwedAppends,
  stored: StoredTask,
  { expected, appends }: PutOptions,
): Promise<void> {
  const { task } = stored;
  const deadline = performance.now() + database.operationMs;
  const content = contentOf(stored);
  const owes = owedFor(database, appends);
  database.checkSize(`the task "${task.id}"`, [...textsOf(content), owes ?? '']);
  const conflict = (there: string) =>
    new HectorError(
      'storage_conflict',
      `The task "${task.id}" ${there}, and ${expected === 0 ? 'it was to be new' : `version ${expected} was to be replaced`}. Read it again.`,
    );
  const created = async () => {
    const document = newTask(stored, {}, owes === undefined ? {} : { owed: owes, work: '' });
    if ((await log.create([document])).size > 0) return false;
    const { _id: id, incarnation = '' } = document;
    const known = { id, incarnation, state: stateOf(document), owes: owes !== undefined, isAtBase: true };
    if (owes !== undefined) await owed.finishing(known, () => owed.settleOne(known, 0, owes));
    return true;
  };
  const replaced = async (known: Known) => {
    if (known.owes && known.state.holder === undefined) await owed.settle(known);
    const { version, sequence } = known.state;
    const n = known.state.n + 1;
    const status = statusFields(task.id, task.status);
    const savedAt = new Date().toISOString();
    const state: LogState = { n, version: version + 1, sequence, ...status, base: n, claims: 0, savedAt };
    const draft = { state, content, ...(owes !== undefined && { owed: owes }) };
    if ((await log.insert([{ known, draft }])).size > 0) {
      await log.catchUp(known);
      return false;
    }
    if (!(await log.forward([{ known, draft }])) && !(await log.isPart(known, n))) return false;
    await owed.finishing(known, async () => {
      if (owes !== undefined) await owed.settleOne(known, n, owes);
      await log.dropBefore(known, n);
    });
    return true;
  };
  if (!expected && (await created())) return;
  for (;;) {
    const known = await log.load(indexed(task.id));
    if (expected !== undefined) {
      if (!known) throw conflict('is not there');
      const { version, holder } = known.state;
      if (version !== expected) throw conflict(`has version ${version}`);
      if (holder !== undefined) throw conflict('is being worked on');
    }
    if (known ? await replaced(known) : await created()) return;
    if (performance.now() > deadline) throw unavailable(database, task.id);
  }
}
