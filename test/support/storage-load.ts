import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type ChatMessage,
  errorCode,
  type SessionKey,
  type StorageBackend,
  type StoredTask,
} from '../../core/index.ts';

/** Writers at a backend that fails now and then, and what they were told. */
export interface StorageLoad {
  /** Writes that were acknowledged so far. Throws what no writer should have been told. */
  readonly acknowledged: number;
  /** Messages of the failures so far: all of them said `storage_unavailable`. */
  readonly failures: readonly string[];
  /** Each writer ends its turn, and until then tries on. */
  stop(): Promise<void>;
  /** What was acknowledged is there, what was not is there at most once, and nothing by half or between. */
  verify(backend: StorageBackend): Promise<void>;
}

const owner = 'ada';
const agent = 'writer';
const conversations: readonly SessionKey[] = ['left', 'right'].map((contextId) => ({ owner, agent, contextId }));

interface Turn {
  readonly key: SessionKey;
  /** Of the messages that were sent, one for each attempt. */
  readonly labels: string[];
  /** Of the task that is put together with them; absent: they are appended alone. */
  readonly task?: string;
  /** The label that was acknowledged; the task's turn may have been acknowledged by a conflict with its own attempt before. */
  acknowledged?: string;
  isThere?: boolean;
}

export function startStorageLoad(backend: StorageBackend, writers = 8): StorageLoad {
  const turns: Turn[] = [];
  const failures: string[] = [];
  let acknowledged = 0;
  let stopped = false;

  const attempt = async (turn: Turn, label: string): Promise<boolean> => {
    turn.labels.push(label);
    const messages = [said(`${label}/a`), said(`${label}/b`)];
    try {
      if (turn.task === undefined) await backend.sessions.append(turn.key, messages);
      else await backend.tasks.put(finished(turn.task), { expected: 0, appends: [{ key: turn.key, messages }] });
      turn.acknowledged = label;
    } catch (error) {
      // Its own attempt before has been committed, and the word of it was lost.
      if (errorCode(error) === 'storage_conflict' && turn.labels.length > 1) turn.isThere = true;
      else if (errorCode(error) !== 'storage_unavailable') throw error;
      else {
        failures.push(String(error));
        return false;
      }
    }
    acknowledged++;
    return true;
  };
  const writer = async (who: number) => {
    for (let at = 0; !stopped; at++) {
      const key = conversations[(who + at) % conversations.length] as SessionKey;
      const turn: Turn = { key, labels: [], ...(at % 3 === 0 && { task: `task-${who}-${at}` }) };
      turns.push(turn);
      for (let tries = 0; !(await attempt(turn, `${who}/${at}/${tries}`)); tries++) await pause(20);
      await pause(2);
    }
  };
  const done = Promise.all(Array.from({ length: writers }, (_, who) => writer(who)));
  let wrong: Error | undefined;
  done.catch((error: Error) => (wrong = error));

  return {
    get acknowledged() {
      if (wrong) throw wrong;
      return acknowledged;
    },
    get failures() {
      if (wrong) throw wrong;
      return failures;
    },
    async stop() {
      stopped = true;
      await done;
    },
    async verify({ sessions, tasks }) {
      const there = new Set<string>();
      for (const key of conversations) {
        const texts = (await sessions.history(key)).map(textOf);
        for (let at = 0; at < texts.length; at += 2) {
          const label = texts[at]?.replace(/\/a$/, '') ?? '';
          assert.equal(texts[at + 1], `${label}/b`, 'no append is there by half, and nothing within it');
          assert.ok(!there.has(label), `${label} is there once`);
          there.add(label);
        }
        const last = await sessions.recent?.(key, 1);
        if (last) assert.equal(last.first, texts.length, 'the numbers have no gap');
      }
      const sent = new Set(turns.flatMap(({ labels }) => labels));
      for (const label of there) assert.ok(sent.has(label), `${label} was sent`);
      for (const turn of turns) {
        const kept = turn.labels.filter((label) => there.has(label));
        if (turn.acknowledged !== undefined)
          assert.ok(kept.includes(turn.acknowledged), `${turn.acknowledged} is kept`);
        if (turn.task === undefined) continue;
        assert.equal(kept.length, 1, `${turn.task} has spoken once: ${kept.join(', ')}`);
        const found = await tasks.get(turn.task);
        assert.equal(found?.version, 1, `${turn.task} is kept`);
      }
    },
  };
}

const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

function textOf({ parts: [part] }: ChatMessage): string {
  return part?.type === 'text' ? part.text : '';
}

const finished = (id: string): StoredTask => ({
  owner,
  agent,
  task: {
    id,
    contextId: 'context',
    status: { state: 'TASK_STATE_COMPLETED', timestamp: '2026-01-01T00:00:00.000Z' },
    artifacts: [],
    history: [],
  },
});
