import { setTimeout as pause } from 'node:timers/promises';
import type { Collection, MongoClient } from 'mongodb';
import { errorMessage, HectorError } from '../../../core/index.ts';
import { withoutSecrets } from './client.ts';
import type { EntryDocument, TaskDocument } from './task-document.ts';

export interface SessionDocument {
  /** Made of owner, agent and context. */
  readonly _id: string;
  /** What the batches of this conversation begin with. One that is begun anew after it was deleted has another. */
  readonly incarnation: string;
  readonly owner: string;
  readonly agent: string;
  readonly key: string;
  /** So many there are at least. */
  readonly messages: number;
  readonly updatedAt: string;
}

/** What one append has added. */
export interface BatchDocument {
  /** `<incarnation>:<number of the first message>` */
  readonly _id: string;
  readonly first: number;
  readonly count: number;
  readonly append: string;
  readonly at: string;
  /** Each as JSON text. */
  readonly messages: readonly string[];
}

/**
 * `schema`; `deleted:<incarnation>` of each conversation whose batches may still have to go, `pruned:<incarnation>` of each
 * task whose log may; and `cancel:<incarnation>:<base>` of each run that somebody has asked to cancel.
 */
export interface MetaDocument {
  readonly _id: string;
  readonly version?: number;
  readonly at: string;
  /** The `_id` of the task that it is about. */
  readonly task?: string;
  /** Its id as JSON, since `task` may be a hash. */
  readonly taskId?: string;
}

/** A holder, and until when it is alive by the clock of the server. */
export interface ReplicaDocument {
  readonly _id: string;
  readonly renewedAt: Date;
  readonly leaseMs: number;
}

/** What goes with one operation: how long the server may work on it, and when nobody waits for it any more. */
export interface Limits {
  readonly maxTimeMS: number;
  readonly signal: AbortSignal;
}

export interface MongoDatabaseOptions {
  readonly who: string;
  readonly client: MongoClient;
  readonly database: string;
  readonly secrets: readonly string[];
  readonly operationMs: number;
}

/** BSON takes 16 MiB, of which the names and the other fields need some. */
const mostBytes = 16 * 1024 ** 2 - 64 * 1024;

/** The collections, and the only way to them: every operation ends in time, and every failure says what it is. */
export class MongoDatabase implements AsyncDisposable {
  readonly tasks: Collection<TaskDocument>;
  readonly log: Collection<EntryDocument>;
  readonly replicas: Collection<ReplicaDocument>;
  readonly sessions: Collection<SessionDocument>;
  readonly events: Collection<BatchDocument>;
  readonly meta: Collection<MetaDocument>;
  readonly who: string;
  readonly operationMs: number;
  readonly #options: MongoDatabaseOptions;

  constructor(options: MongoDatabaseOptions) {
    const db = options.client.db(options.database);
    this.tasks = db.collection('hector_tasks');
    this.log = db.collection('hector_task_events');
    this.replicas = db.collection('hector_replicas');
    this.sessions = db.collection('hector_sessions');
    this.events = db.collection('hector_session_events');
    this.meta = db.collection('hector_meta');
    this.who = options.who;
    this.operationMs = options.operationMs;
    this.#options = options;
  }

  async ping(signal: AbortSignal): Promise<void> {
    const { client, database } = this.#options;
    await this.run(({ signal }) => client.db(database).command({ ping: 1 }, { signal }), signal);
  }

  /**
   * One round trip, or a few that belong together. Throws `storage_unavailable` where the server cannot do it now, and the
   * reason of `signal` once that aborts. The driver's own bounds come later than this one and free what it holds.
   */
  async run<T>(work: (limits: Limits) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const ms = this.operationMs;
    const over = new AbortController();
    const late = this.#unavailable(`has not answered within ${ms} ms`);
    const ends = AbortSignal.any(signal ? [over.signal, signal] : [over.signal]);
    const tooLate = async () => {
      await pause(ms, undefined, { signal: ends });
      throw late;
    };
    // Before each: where the first attempt has failed, the driver does not try again by itself.
    const doIt = async () => {
      await this.#options.client.connect();
      ends.throwIfAborted();
      return await work({ maxTimeMS: ms, signal: ends });
    };
    try {
      return await Promise.race([doIt(), tooLate()]);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#told(error);
    } finally {
      over.abort();
    }
  }

  /** What time it is by the clock of the server, to the millisecond it takes to ask. */
  async serverTime(): Promise<Date> {
    const { client } = this.#options;
    const hello = await this.run(({ signal }) => client.db('admin').command({ hello: 1 }, { signal }));
    const { localTime } = hello as { localTime?: unknown };
    if (localTime instanceof Date) return localTime;
    throw this.#unavailable('does not say what time it is');
  }

  /** Throws what the server would refuse with less to say. */
  checkSize(what: string, texts: readonly string[]): void {
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 16, 0);
    if (bytes > mostBytes) throw this.#tooLarge(`${what} has ${(bytes / 1024 ** 2).toFixed(1)} MiB`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.client.close();
  }

  #told(error: unknown): unknown {
    if (error instanceof HectorError) return error;
    const { code, name = '' } = error as { code?: unknown; name?: string };
    if (isTooLarge(code)) return this.#tooLarge('what was to be stored is larger than the server takes');
    // The driver hands on what the socket says when a connection ends while it writes.
    const isOfSocket = typeof code === 'string' && /^E[A-Z]+$/.test(code);
    if (code === duplicateKey || !(name.startsWith('Mongo') || isOfSocket)) return error;
    return this.#unavailable(`cannot be used: ${errorMessage(error)}`);
  }

  #unavailable(what: string): HectorError {
    const { who, secrets } = this.#options;
    return new HectorError('storage_unavailable', `${who} ${withoutSecrets(what.replace(/\.$/, ''), secrets)}.`);
  }

  #tooLarge(what: string): HectorError {
    const { who } = this.#options;
    return new HectorError('storage_too_large', `${who}: ${what}, and a document of MongoDB has at most 16 MiB.`);
  }
}

const duplicateKey = 11_000;

/** BSONObjectTooLarge, and the older code that servers give for one. */
const isTooLarge = (code: unknown) => code === 10_334 || code === 17_420 || code === 17_280;

export const isDuplicate = (error: unknown) => (error as { code?: unknown }).code === duplicateKey;
