import {
  type ChatMessage,
  type FoundTask,
  foldChanges,
  HectorError,
  type RunStore,
  type SessionAppend,
  type SessionKey,
  type StorageBackend,
  type StoredTask,
  type Task,
  type TaskChange,
  type TaskStatus,
  terminalStates,
} from '../../../core/index.ts';

interface Batch {
  readonly sequence: number;
  readonly changes: readonly TaskChange[];
}

interface Row {
  stored: StoredTask;
  version: number;
  sequence: number;
  holder: string | undefined;
  batches: Batch[];
  request: string;
  checkpoint: string | undefined;
  claims: number;
  savedAt: string;
  cancel: boolean;
}

/** What the contracts say, in as few words as they can be programmed in: nothing is fast, kept or shared. */
export interface StorageModel extends StorageBackend {
  readonly runs: RunStore;
  holderOf(taskId: string): string | undefined;
  /** 0 where there is none. */
  versionOf(taskId: string): number;
  /** Those that a claim may give. */
  claimable(): readonly string[];
  /** A claim that has given these. */
  take(holder: string, taskIds: readonly string[]): Awaited<ReturnType<RunStore['claim']>>;
}

export function storageModel(): StorageModel {
  const rows = new Map<string, Row>();
  const leases = new Map<string, number>();
  const conversations = new Map<string, { readonly messages: readonly ChatMessage[]; readonly usedAt: string }>();
  const said = (key: SessionKey) => conversations.get(nameOf(key))?.messages ?? [];

  const taskOf = ({ stored, batches }: Row): Task =>
    foldChanges(
      stored.task,
      batches.flatMap(({ changes }) => changes),
    );
  const found = (row: Row): FoundTask => ({
    ...{ ...row.stored, task: taskOf(row), version: row.version, sequence: row.sequence },
    ...(row.holder !== undefined && { holder: row.holder }),
  });
  const held = (holder: string, id: string) => {
    const row = rows.get(id);
    return row?.holder === holder ? row : undefined;
  };
  const append = ({ key, messages }: SessionAppend) => {
    if (messages.length === 0) return;
    conversations.set(nameOf(key), { messages: [...said(key), ...messages], usedAt: new Date().toISOString() });
  };
  const write = (stored: StoredTask, holder: string | undefined, request = '') => {
    const before = rows.get(stored.task.id);
    rows.set(stored.task.id, {
      ...{ stored, holder, request, batches: [], checkpoint: undefined, claims: 0, cancel: false },
      ...{ version: (before?.version ?? 0) + 1, sequence: before?.sequence ?? 0, savedAt: new Date().toISOString() },
    });
  };
  const add = (row: Row, changes: readonly TaskChange[]) => {
    if (changes.length > 0) row.batches.push({ sequence: ++row.sequence, changes });
  };
  const isAt = (id: string, version: number) => {
    const row = rows.get(id);
    return (row?.version ?? 0) === version && row?.holder === undefined;
  };
  const alive = (holder: string) => (leases.get(holder) ?? 0) > Date.now();
  const claimable = () =>
    [...rows].filter(([, { holder }]) => holder !== undefined && !alive(holder)).map(([id]) => id);
  const take: StorageModel['take'] = (holder, taskIds) =>
    taskIds.map((id) => {
      const row = rows.get(id);
      if (!row) throw new Error(`There is no ${id} to take.`);
      row.holder = holder;
      row.version++;
      row.claims++;
      const { request, checkpoint, claims, savedAt } = row;
      return { task: found(row), request, ...(checkpoint !== undefined && { checkpoint }), claims, savedAt };
    });

  return {
    holderOf: (taskId) => rows.get(taskId)?.holder,
    versionOf: (taskId) => rows.get(taskId)?.version ?? 0,
    claimable,
    take,
    async ping() {},

    tasks: {
      async get(id) {
        const row = rows.get(id);
        return row && found(row);
      },
      async put(stored, { expected, appends = [] } = {}) {
        const { id } = stored.task;
        if (expected !== undefined && !isAt(id, expected))
          throw new HectorError('storage_conflict', `${id} is not so.`);
        write(stored, undefined);
        appends.forEach(append);
      },
      async list({ owner, agent, contextId, state, artifacts, pageSize, pageToken }) {
        const all = [...rows.values()]
          .map((row) => ({ ...row.stored, task: taskOf(row) }))
          .filter((each) => each.owner === owner && each.agent === agent)
          .filter(({ task }) => contextId === undefined || task.contextId === contextId)
          .filter(({ task }) => state === undefined || task.status.state === state)
          .map((each) => (artifacts === false ? { ...each, task: { ...each.task, artifacts: [] } } : each))
          .sort(({ task: a }, { task: b }) => (placeOf(a) < placeOf(b) ? -1 : 1));
        const place = pageToken === undefined ? '' : tokenIn(pageToken);
        const rest = all.filter(({ task }) => placeOf(task) > place);
        const items = rest.slice(0, pageSize);
        const last = items.at(-1);
        return { items, ...(last && rest.length > pageSize && { nextPageToken: `at ${placeOf(last.task)}` }) };
      },
    },

    sessions: {
      async append(key, messages) {
        append({ key, messages });
      },
      async history(key) {
        return said(key);
      },
      async recent(key, limit, before = Number.POSITIVE_INFINITY) {
        const messages = said(key)
          .map((message, index) => ({ message, number: index + 1 }))
          .filter(({ number }) => number < before)
          .slice(-limit);
        return { first: messages[0]?.number ?? 0, messages: messages.map(({ message }) => message) };
      },
      async delete(key) {
        return conversations.delete(nameOf(key));
      },
    },

    runs: {
      async renew(holder, leaseMs) {
        leases.set(holder, Date.now() + leaseMs);
      },
      async resign(holder) {
        leases.delete(holder);
      },
      async begin(holder, runs) {
        const refused = runs.filter(({ task, version }) => !isAt(task.task.id, version));
        for (const run of runs) if (!refused.includes(run)) write(run.task, holder, run.request);
        return refused.map(({ task }) => task.task.id);
      },
      async record(holder, updates) {
        const lost: string[] = [];
        for (const { taskId, sequence, changes, checkpoint } of updates) {
          const row = held(holder, taskId);
          if (!row) {
            lost.push(taskId);
            continue;
          }
          if (sequence === undefined || row.sequence < sequence) add(row, changes);
          if (checkpoint === undefined) continue;
          row.checkpoint = checkpoint;
          row.savedAt = new Date().toISOString();
        }
        return lost;
      },
      async end(holder, { taskId, changes, appends = [] }) {
        const row = held(holder, taskId);
        if (!row) return false;
        add(row, changes);
        appends.forEach(append);
        Object.assign(row, { holder: undefined, checkpoint: undefined, cancel: false, version: row.version + 1 });
        return true;
      },
      async release(holder, ids) {
        for (const id of ids) {
          const row = held(holder, id);
          if (row) row.holder = '';
        }
      },
      async claim(holder, limit) {
        return take(holder, claimable().slice(0, limit));
      },
      async requestCancel(id) {
        const row = rows.get(id);
        if (row?.holder === undefined) return false;
        row.cancel = true;
        return true;
      },
      async cancelRequests(holder) {
        return [...rows].filter(([, row]) => row.holder === holder && row.cancel).map(([id]) => id);
      },
      async follow(id, after) {
        const row = rows.get(id);
        if (!row) return undefined;
        const changes = row.batches.filter(({ sequence }) => sequence > after).flatMap((batch) => batch.changes);
        return { sequence: row.sequence, changes, held: row.holder !== undefined };
      },
    },

    async prune({ tasksBefore = '', sessionsBefore = '' }) {
      const isOld = ({ state, timestamp }: TaskStatus) => terminalStates.has(state) && timestamp < tasksBefore;
      const old = [...rows].filter(([, row]) => row.holder === undefined && isOld(taskOf(row).status));
      for (const [id] of old) rows.delete(id);
      const unused = [...conversations].filter(([, { usedAt }]) => usedAt < sessionsBefore);
      for (const [name] of unused) conversations.delete(name);
      return { tasks: old.length, sessions: unused.length };
    },
  };
}

const nameOf = ({ owner, agent, contextId }: SessionKey) => JSON.stringify([owner, agent, contextId]);

/** Sorts the newest first, then by id. */
const placeOf = ({ id, status }: Task) => `${String(1e15 - Date.parse(status.timestamp)).padStart(16, '0')} ${id}`;

function tokenIn(pageToken: string): string {
  if (!pageToken.startsWith('at ')) throw new HectorError('invalid_page_token', 'It is none.');
  return pageToken.slice(3);
}
