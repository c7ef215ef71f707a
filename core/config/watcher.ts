import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, errorMessage, HectorError } from '../errors.ts';
import type { ConfigContent, ConfigDocument, ConfigProvider } from '../extension/config-provider.ts';
import type { Logger } from '../logger.ts';
import { Backoff } from './backoff.ts';
import { Connection } from './connection.ts';
import { contentHash } from './content-hash.ts';
import type { ConfigControl } from './control.ts';
import { Inbox, type InboxTimes } from './inbox.ts';
import { ConfigError } from './issue.ts';
import type { LastGood } from './last-good.ts';
import type { Snapshot } from './snapshot.ts';
import type { ConfigStatus, RejectedConfig, ReloadEvent, ServedConfig } from './status.ts';

export type BootPolicy = 'wait' | 'last_good' | 'fail';

/** Where the configuration comes from, and how it is followed. */
export interface SourceOptions {
  readonly provider: ConfigProvider;
  /** `file`, `consul`. */
  readonly providerName: string;
  /** `consul:hector/prod` */
  readonly source: string;
  /** Name of this replica. */
  readonly instance: string;
  /** Whether changes are followed, or the configuration only read at the start and on `reload`. */
  readonly watch: boolean;
  readonly boot: BootPolicy;
  /** Whether a document that is missing or empty may take the place of one that was not. */
  readonly allowEmpty: boolean;
  readonly times: InboxTimes;
  readonly lastGood?: LastGood | undefined;
  load(document: ConfigDocument): Promise<Snapshot>;
  /** Compare-and-set with history. */
  write(content: ConfigContent, expected: string | undefined, signal: AbortSignal): Promise<string>;
  /** Follows the files that a configuration refers to. */
  watchFiles?(onChange: () => void): FileFollower;
}

export interface FileFollower extends AsyncDisposable {
  /** From now on these, whether they are there or not: absolute path, and the sha256 of the content that is known. */
  set(files: ReadonlyMap<string, string>): void;
}

export interface WatcherOptions extends SourceOptions {
  readonly version: string;
  readonly logger: Logger;
  /** Builds what the snapshot asks for and puts it in the place of what serves. Returns the generation's number. */
  apply(snapshot: Snapshot): Promise<number>;
  draining(): ConfigStatus['draining'];
  /** What of a configuration only a restart would bring about. */
  restartRequired(snapshot: Snapshot): readonly string[];
  onReload?(event: ReloadEvent): void;
  onStatus?(status: ConfigStatus): void;
}

/** How long the source may take to give the first document, before the last good one is served. */
const bootMs = 5_000;
const readMs = 10_000;
/** A file that was written a moment ago may not be complete. */
const partialMs = 1_000;
/** After a document that was refused, the next is taken as soon as this. */
const afterRejectionMs = 500;

/** What may be mended from outside of the document: a variable, a file, a package, a server that a tool needs. */
const outside: ReadonlySet<string> = new Set(['variable', 'plugin', 'build']);

/**
 * Keeps what serves in step with the source: takes each new document through `load` and `apply`, one at a time and the
 * newest only. A document that does not come through changes nothing: what serves goes on, and `status` says why.
 */
export class ConfigWatcher implements ConfigControl, AsyncDisposable {
  readonly #options: WatcherOptions;
  readonly #connection: Connection;
  readonly #inbox: Inbox;
  readonly #closing = new AbortController();
  readonly #files: FileFollower | undefined;
  /** Waits before a document that was refused for an outside reason is tried again. */
  readonly #retries = new Backoff(1_000, 60_000);
  #retry: NodeJS.Timeout | undefined;
  #following: Promise<unknown> = Promise.resolve();
  #turn: Promise<unknown> = Promise.resolve();
  #reloading: Promise<ReloadEvent> | undefined;
  /** The newest document that the source has given. */
  #newest: ConfigDocument | undefined;
  #serving: ServedConfig | undefined;
  #error: RejectedConfig | undefined;

  constructor(options: WatcherOptions) {
    const { provider, source, logger } = options;
    this.#options = options;
    this.#connection = new Connection({ provider, source, logger, onChange: () => this.#changed() });
    this.#inbox = new Inbox(options.times);
    this.#files = options.watch ? options.watchFiles?.(() => this.#again()) : undefined;
  }

  /**
   * Serves the first configuration, as the boot policy says, and begins to follow the source. With nothing to serve it
   * returns all the same: what the source gives later is served then. Throws where the policy is to fail.
   */
  async start(): Promise<void> {
    const { boot, source, logger, watch } = this.#options;
    try {
      const document = await this.#connection.read(
        AbortSignal.any([this.#closing.signal, AbortSignal.timeout(bootMs)]),
      );
      this.#newest = document;
      await this.#take(document);
    } catch (error) {
      if (boot === 'fail') throw error;
      if (boot === 'last_good') await this.#serveLastGood();
      if (!this.#serving) logger.warn({ source, reason: errorMessage(error) }, 'nothing serves yet: not ready');
    }
    if (watch || !this.#serving || this.#serving.last_good) this.#follow();
  }

  status(): ConfigStatus {
    const { instance, version, providerName, source, watch, draining } = this.#options;
    const { connected, lastContact, error } = this.#connection;
    return {
      instance,
      version,
      provider: providerName,
      source,
      state: this.#state(),
      watching: watch,
      connected,
      ...(lastContact && { last_contact: lastContact.toISOString() }),
      ...(error !== undefined && { connection_error: error }),
      ...(this.#serving && { serving: this.#serving }),
      ...(this.#error && { error: this.#error }),
      draining: draining(),
    };
  }

  #state(): ConfigStatus['state'] {
    if (!this.#serving) return 'starting';
    if (this.#error) return 'rejected';
    return this.#serving.last_good || this.#connection.error !== undefined ? 'degraded' : 'current';
  }

  /** Calls that come while one is under way are answered by it. */
  reload(): Promise<ReloadEvent> {
    this.#reloading ??= (async () => {
      const document = await this.read(this.#closing.signal);
      this.#newest = document;
      return this.#take(document);
    })().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  read(signal: AbortSignal): Promise<ConfigDocument> {
    return this.#connection.read(AbortSignal.any([signal, AbortSignal.timeout(readMs)]));
  }

  check(content: ConfigContent): Promise<Snapshot> {
    const { source } = this.#options;
    const folder = this.#newest?.folder;
    return this.#options.load({ ...content, source, revision: 'checked', ...(folder !== undefined && { folder }) });
  }

  write(content: ConfigContent, expected: string | undefined, signal: AbortSignal): Promise<string> {
    return this.#options.write(content, expected, signal);
  }

  /** Nothing is followed or swapped any more once this resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new HectorError('closed', 'Hector is shutting down.'));
    clearTimeout(this.#retry);
    await this.#following;
    await this.#turn;
    await this.#files?.[Symbol.asyncDispose]();
    await this.#options.provider[Symbol.asyncDispose]?.();
  }

  #follow(): void {
    const until = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, until.signal]);
    const listening = (async () => {
      for await (const document of this.#connection.follow(signal)) {
        // The same again is a sign of life and no more.
        if (document.revision === this.#newest?.revision) continue;
        this.#newest = document;
        this.#inbox.offer(document);
      }
    })();
    const taking = (async () => {
      for (;;) {
        const arrival = await this.#inbox.take(signal);
        if (!arrival) return;
        await this.#takeSettled(arrival.document, arrival.since, signal);
        if (!this.#options.watch && this.#serving && !this.#serving.last_good) until.abort();
      }
    })();
    this.#following = Promise.all([listening, taking]);
  }

  /** Tries the newest document again: something that it refers to may have changed. */
  #again(): void {
    if (this.#newest && !this.#closing.signal.aborted) this.#inbox.offer(this.#newest);
  }

  async #takeSettled(document: ConfigDocument, since: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#take(document, { since, signal });
    } catch {
      // It has been told, in the log and in the status.
      this.#inbox.hasten(afterRejectionMs);
    }
  }

  /** One document from text to swap. Throws what was wrong with it, after that has been told. */
  #take(document: ConfigDocument, watched?: { since: number; signal: AbortSignal }): Promise<ReloadEvent> {
    const taken = this.#turn.then(() => this.#serve(document, watched));
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  async #serve(document: ConfigDocument, watched?: { since: number; signal: AbortSignal }): Promise<ReloadEvent> {
    this.#closing.signal.throwIfAborted();
    clearTimeout(this.#retry);
    const started = performance.now();
    const durationSeconds = () => (performance.now() - started) / 1000;
    try {
      this.#refuseNothing(document);
      const snapshot = await this.#options.load(document);
      const swapped = await this.#swap(document, snapshot);
      const event: ReloadEvent = {
        result: swapped ? 'success' : 'noop',
        durationSeconds: durationSeconds(),
        ...(swapped && watched && { watchToSwapSeconds: (performance.now() - watched.since) / 1000 }),
      };
      this.#served(document, snapshot, event);
      return event;
    } catch (error) {
      if (this.#closing.signal.aborted) throw error;
      if (watched && this.#mayBePartial(document, error) && (await this.#superseded(watched.signal))) throw error;
      this.#rejected(document, error, durationSeconds());
      throw error;
    }
  }

  /** An empty document is more likely an accident than the wish to serve nothing of what was there. */
  #refuseNothing({ text, entries, missing, folder }: ConfigDocument): void {
    const { allowEmpty, source } = this.#options;
    const nothing = missing || (!entries && text.trim() === '') || entries?.size === 0;
    // A local file that is empty from the start asks for the defaults.
    if (!nothing || allowEmpty || (!this.#serving && folder !== undefined && !missing)) return;
    const what = missing ? `There is no configuration at ${source}` : `The configuration ${source} is empty`;
    const then = this.#serving ? ', so what served before it goes on' : '';
    throw new HectorError(
      missing ? 'config_missing' : 'config_empty',
      `${what}${then}. Write one, or set config.allow_empty if the defaults are to be served.`,
    );
  }

  async #swap(document: ConfigDocument, snapshot: Snapshot): Promise<boolean> {
    const serving = this.#serving;
    const same = serving?.hash === snapshot.hash;
    const generation = same ? serving.generation : await this.#options.apply(snapshot);
    this.#serving = {
      revision: document.revision,
      content_hash: contentHash(document),
      hash: snapshot.hash,
      generation,
      at: same ? serving.at : new Date().toISOString(),
      last_good: false,
      restart_required: same ? serving.restart_required : this.#options.restartRequired(snapshot),
    };
    return !same;
  }

  #served(document: ConfigDocument, snapshot: Snapshot, event: ReloadEvent): void {
    const { logger, onReload, lastGood } = this.#options;
    const { revision, hash, generation, restart_required } = this.#serving as ServedConfig;
    const mended = this.#error !== undefined;
    this.#error = undefined;
    this.#retries.reset();
    this.#files?.set(snapshot.files);
    onReload?.(event);
    const ms = Math.round(event.durationSeconds * 1000);
    const fields = { source: document.source, revision, hash: hash.slice(0, 12), generation, ms };
    if (event.result === 'success') logger.info(fields, 'the configuration serves');
    else if (mended) logger.info(fields, 'the configuration is again the one that serves');
    else logger.debug(fields, 'the configuration has not changed in what it says');
    if (event.result === 'success' && restart_required.length > 0)
      logger.warn({ settings: restart_required }, 'some settings take effect when Hector is started anew');
    void lastGood?.keep(document);
    this.#changed();
  }

  #rejected(document: ConfigDocument, error: unknown, durationSeconds: number): void {
    const { logger, onReload, source } = this.#options;
    const refused = error instanceof ConfigError;
    const issues = refused ? error.issues : [];
    const built = issues.some(({ rule }) => rule === 'build');
    const rejected: RejectedConfig = {
      revision: document.revision,
      content_hash: contentHash(document),
      code: built ? 'build' : (errorCode(error) ?? 'unexpected'),
      message: errorMessage(error),
      issues,
      at: new Date().toISOString(),
    };
    const known = this.#error;
    const news = known?.content_hash !== rejected.content_hash || known.message !== rejected.message;
    if (news) this.#error = rejected;
    // Where the policy is to fail, whoever asked for the start tells it.
    if (news && (this.#serving || this.#options.boot !== 'fail')) {
      const fields = { source, revision: rejected.revision, code: rejected.code, reason: rejected.message };
      const then = this.#serving ? 'what serves now goes on' : 'nothing serves yet';
      logger.error(
        errorCode(error) === undefined ? { ...fields, err: error } : fields,
        `refused a configuration: ${then}`,
      );
    }
    const definite = (refused && !issues.some(({ rule }) => outside.has(rule))) || isEmptiness(error);
    const result = refused || isEmptiness(error) ? 'rejected' : 'load_error';
    onReload?.({ result, durationSeconds });
    // Most of what a document refers to is known even when it cannot be served.
    if (refused) this.#files?.set(error.files);
    if (!definite) this.#retryLater();
    if (news) this.#changed();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    if (!this.#closing.signal.aborted) this.#retry = setTimeout(() => this.#again(), this.#retries.next());
  }

  #mayBePartial({ folder }: ConfigDocument, error: unknown): boolean {
    if (folder === undefined) return false;
    return isEmptiness(error) || (error instanceof ConfigError && error.issues.some(({ rule }) => rule === 'syntax'));
  }

  /** Whether another document comes in the time that a write may take. */
  async #superseded(signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + partialMs;
    while (this.#inbox.empty && performance.now() < deadline && !signal.aborted)
      await sleep(20, undefined, { signal }).catch(() => undefined);
    return !this.#inbox.empty;
  }

  async #serveLastGood(): Promise<void> {
    const { lastGood, source, logger, load, apply, restartRequired } = this.#options;
    try {
      const document = await lastGood?.read(source);
      if (!document) return;
      const snapshot = await load(document);
      const generation = await apply(snapshot);
      this.#serving = {
        revision: document.revision,
        content_hash: contentHash(document),
        hash: snapshot.hash,
        generation,
        at: new Date().toISOString(),
        last_good: true,
        restart_required: restartRequired(snapshot),
      };
      this.#files?.set(snapshot.files);
      logger.warn(
        { source, revision: document.revision, file: lastGood?.path },
        'the last good configuration serves until the source has one',
      );
      this.#changed();
    } catch (error) {
      logger.error({ file: lastGood?.path, err: error }, 'the last good configuration cannot be served either');
    }
  }

  #changed(): void {
    this.#options.onStatus?.(this.status());
  }
}

function isEmptiness(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'config_empty' || code === 'config_missing';
}
