import type { Task } from '../a2a.ts';
import { errorCode, HectorError } from '../errors.ts';
import type { Checkpoint } from '../extension/agent.ts';
import type { RunUpdate } from '../extension/run-store.ts';
import type { PutOptions, SessionAppend } from '../extension/storage-backend.ts';
import type { Logger } from '../logger.ts';
import type { GenerationContents } from '../runtime/generation.ts';
import { Checkpoints, type SavedRun } from './checkpoints.ts';
import { failureDetails } from './failure.ts';
import type { Journal } from './journal.ts';
import type { JournalEntry } from './journal-entry.ts';
import { lostTask } from './lost-task.ts';
import type { TaskRecord } from './record.ts';
import type { RunRequest } from './run-request.ts';
import { requestToJson } from './run-request.ts';
import { RunSessions } from './run-sessions.ts';

export interface RunStorageOptions {
  readonly id: string;
  readonly owner: string;
  readonly agent: string;
  readonly contents: GenerationContents;
  readonly record: TaskRecord;
  readonly request: Omit<RunRequest, 'run' | 'checkpoints'>;
  /** Whether the agent can go on from checkpoints. */
  readonly resumable: boolean;
  /** Absent: the database does not learn of the run before it has ended. */
  readonly journal?: Journal | undefined;
  /** Of the stored task that it goes on from; 0: there is none. Undefined: nobody knows. */
  readonly version: number | undefined;
  /** Of the last batch of its changes that is stored. */
  readonly sequence: number;
  /** The run was claimed, and this is what it is continued from. */
  readonly claimed?: SavedRun | undefined;
  readonly logger: Logger;
  readonly names: Readonly<Record<string, string | number>>;
  released(): boolean;
  onLost(): void;
  onFailed(error: unknown): void;
  onCancel(): void;
}

/** What one run keeps in the database: its task while it is at work, its checkpoints, and its end with what it has said. */
export class RunStorage {
  readonly sessions: RunSessions;
  readonly checkpoint: Checkpoint | undefined;
  readonly #options: RunStorageOptions;
  readonly #entry: JournalEntry | undefined;
  /** What the last writing begins with; asked for once. */
  #closed: Promise<RunUpdate['changes'] | undefined> | undefined;
  /** Conversations in another database than the tasks, already written. */
  readonly #appended = new Set<string>();
  #told = false;

  constructor(options: RunStorageOptions) {
    const { id, owner, agent, contents, record, journal, version, claimed, resumable } = options;
    const { checkpoint: config, on_error } = contents.config.storage;
    this.#options = options;
    this.sessions = new RunSessions({
      owner,
      contextId: record.task.contextId,
      store: (whose) => this.#sessionsFor(whose),
      onAway: on_error === 'degrade' ? (error) => this.#tellAway(error) : undefined,
    });
    const checkpoints = config.enabled && resumable && journal !== undefined;
    if (!journal || version === undefined) return;
    const entry = journal.open(
      {
        id,
        version,
        sequence: options.sequence,
        request: () => requestToJson({ ...options.request, run: record.run, checkpoints }),
        stored: () => ({ task: record.task, owner, agent }),
        flush: () => record.flush(),
        onLost: options.onLost,
        onFailed: options.onFailed,
        onCancel: options.onCancel,
      },
      claimed !== undefined,
    );
    record.onChange = (change) => entry.add(change);
    this.#entry = entry;
    if (!checkpoints) return;
    this.checkpoint = new Checkpoints(
      { config, answered: () => record.answered, write: (json) => journal.checkpoint(entry, json) },
      claimed?.parts,
    ).root();
  }

  /** Whether another process could go on with the run. */
  get canBeHandedOver(): boolean {
    const { auto_resume, auto_resume_hitl } = this.#options.contents.config.storage.checkpoint.recovery;
    return this.checkpoint !== undefined && auto_resume && (auto_resume_hitl || !this.#options.request.answers);
  }

  /** Resolves when every process that uses the database can know of the task; at once where none ever will before its end. */
  async recorded(): Promise<void> {
    const { journal, contents } = this.#options;
    if (!journal || !this.#entry) return;
    try {
      await journal.begun(this.#entry);
    } catch (error) {
      if (errorCode(error) !== 'storage_unavailable' || contents.config.storage.on_error !== 'degrade') throw error;
      this.#tellAway(error);
    }
  }

  /** Any process may go on with it. */
  async handOver(): Promise<void> {
    if (this.#options.journal && this.#entry) await this.#options.journal.release(this.#entry);
  }

  /** Writes how the task has ended. Can be called again until it resolves. */
  async end(task: Task): Promise<void> {
    const { journal, contents, owner, agent, version } = this.#options;
    const { tasks, sessions } = contents;
    const together = tasks === sessions;
    const { appends } = this.sessions;
    if (!together) await this.#append(appends);
    const own = together && appends.length > 0 ? { appends } : {};
    if (!journal || !this.#entry) {
      await tasks.tasks.put({ task, owner, agent }, own);
      return;
    }
    this.#closed ??= journal.close(this.#entry);
    this.#closed.catch(() => {
      this.#closed = undefined;
    });
    const changes = await this.#closed;
    if (changes) {
      const ended = await journal.end({ taskId: task.id, changes, status: task.status, ...own });
      if (!ended) await this.#check(task);
    } else {
      await tasks.tasks
        .put({ task, owner, agent }, { ...own, expected: version ?? 0 })
        .catch(async (error: unknown) => {
          if (errorCode(error) !== 'storage_conflict') throw error;
          await this.#check(task);
        });
    }
    journal.forget(this.#entry);
  }

  /** It will never be written. */
  giveUp(): void {
    if (this.#entry) this.#options.journal?.forget(this.#entry);
  }

  async #put(task: Task, options: PutOptions): Promise<void> {
    const { owner, agent, contents } = this.#options;
    const { tasks } = contents.tasks;
    try {
      await tasks.put({ task, owner, agent }, options);
    } catch (error) {
      if (errorCode(error) !== 'storage_conflict') throw error;
      if ((await this.#check(task)) === 'written') return;
      // It was begun after all, although nobody said so.
      const { expected: _, ...others } = options;
      await tasks.put({ task, owner, agent }, others);
    }
  }

  /** An earlier attempt may have been written although nobody said so. Throws where another process has the task. */
  async #check(task: Task): Promise<'written' | 'held'> {
    const { contents, journal } = this.#options;
    const found = await contents.tasks.tasks.get(task.id);
    const status = found?.task.status;
    if (status?.state === task.status.state && status.timestamp === task.status.timestamp) return 'written';
    if (found?.holder !== undefined && found.holder === journal?.holder) return 'held';
    throw lostTask(task.id);
  }

  async #append(appends: readonly SessionAppend[]): Promise<void> {
    const { sessions } = this.#options.contents;
    for (const { key, messages } of appends) {
      if (this.#appended.has(key.agent)) continue;
      await sessions.sessions.append(key, messages);
      this.#appended.add(key.agent);
    }
  }

  #sessionsFor(agent: string) {
    const { released, contents, id } = this.#options;
    if (!released()) return contents.sessions.sessions;
    throw new HectorError('task_ended', `The task ${id} is over; its agent "${agent}" can no longer use the session.`);
  }

  #tellAway(error: unknown): void {
    if (this.#told) return;
    this.#told = true;
    const { logger, names, contents } = this.#options;
    logger.warn(
      { ...names, ...failureDetails(error, contents.secrets) },
      'the store is away: the agent works without the earlier conversation, and what it brings is written later',
    );
  }
}
