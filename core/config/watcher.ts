import { errorMessage, HectorError } from '../errors.ts';
import type { ConfigContent, ConfigDocument } from '../extension/config-provider.ts';
import type { Logger } from '../logger.ts';
import { within } from '../waiting.ts';
import { Backoff } from './backoff.ts';
import { Connection } from './connection.ts';
import { contentHash } from './content-hash.ts';
import type { ConfigControl } from './control.ts';
import type { FileFollower, SourceOptions } from './followed-source.ts';
import { Inbox } from './inbox.ts';
import { mayBePartial, refusalOf, refuseEmpty } from './refusal.ts';
import type { Snapshot } from './snapshot.ts';
import { type ConfigStatus, type RejectedConfig, type ReloadEvent, type ServedConfig, stateOf } from './status.ts';

export type { FileFollower, SourceOptions } from './followed-source.ts';

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

/** How long the source may take to give the first document, before the last good one is served; and any other. */
const bootMs = 5_000;
const readMs = 10_000;
const confirmMs = 2_000;
/** A file that was written a moment ago may not be complete. */
const partialMs = 1_000;
/** After a document that was refused, the next is taken as soon as this. */
const afterRejectionMs = 500;

/** That a document came by following, and since when something was known to come. */
interface Watched {
  readonly since: number;
  readonly signal: AbortSignal;
}

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
  #timer: NodeJS.Timeout | undefined;
  #following: Promise<unknown> = Promise.resolve();
  #unfollow: AbortController | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #reloading: Promise<ReloadEvent> | undefined;
  #keeping: Promise<void> | undefined;
  /** The newest document that the source has given: what is to be served, whatever else is on its way. */
  #newest: ConfigDocument | undefined;
  /** Counts the documents that came by following. */
  #heard = 0;
  /** What the follower of files was told. */
  #knownFiles: ReadonlyMap<string, string> = new Map();
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
   * `failure`: why the source could not be read a moment ago. It is not asked again before the policy is followed.
   */
  start(failure?: unknown): Promise<void> {
    const starting = this.#start(failure);
    this.#following = starting.catch(() => undefined);
    return starting;
  }

  async #start(failure: unknown): Promise<void> {
    const { boot, source, logger, watch } = this.#options;
    try {
      if (failure !== undefined) throw failure;
      this.#newest = await this.#connection.read(this.#closing.signal, bootMs);
      await this.#take();
    } catch (error) {
      if (boot === 'fail' || this.#closing.signal.aborted) throw error;
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
      state: stateOf(this.#serving, this.#error, error),
      watching: watch,
      connected,
      ...(lastContact && { last_contact: lastContact.toISOString() }),
      ...(error !== undefined && { connection_error: error }),
      ...(this.#serving && { serving: this.#serving }),
      ...(this.#error && { error: this.#error }),
      draining: draining(),
    };
  }

  /** Calls that come while one is under way are answered by it. */
  reload(): Promise<ReloadEvent> {
    this.#reloading ??= (async () => {
      const document = await this.#readNewest();
      // What was read may be gone before whoever follows has seen it, who then has nothing new to say: his word counts.
      const isNews = () => document.revision !== this.#newest?.revision;
      const follows = this.#unfollow?.signal.aborted === false;
      const told = follows && isNews() && (await within(confirmMs, this.#connection.anew()));
      if (!told && isNews()) this.#newest = document;
      return this.#take();
    })().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  /** What is read and what is heard may overtake each other; a few times, for a source may change all the time. */
  async #readNewest(): Promise<ConfigDocument> {
    const started = performance.now();
    try {
      for (let tries = 1; ; tries++) {
        const heard = this.#heard;
        const document = await this.read(this.#closing.signal);
        if (heard === this.#heard || !this.#newest) return document;
        if (tries === 3) return this.#newest;
      }
    } catch (error) {
      const durationSeconds = (performance.now() - started) / 1000;
      if (!this.#closing.signal.aborted) this.#options.onReload?.({ result: 'load_error', durationSeconds });
      throw error;
    }
  }

  read(signal: AbortSignal): Promise<ConfigDocument> {
    return this.#connection.read(signal, readMs);
  }

  check(content: ConfigContent): Promise<Snapshot> {
    const { source, load, check = load } = this.#options;
    const folder = this.#newest?.folder;
    return check({ ...content, source, revision: 'checked', ...(folder !== undefined && { folder }) });
  }

  write(content: ConfigContent, expected: string | undefined, signal: AbortSignal): Promise<string> {
    return this.#options.write(content, expected, signal);
  }

  /** Nothing is followed or swapped any more once this resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new HectorError('closed', 'Hector is shutting down.'));
    clearTimeout(this.#timer);
    await this.#following;
    await this.#reloading?.catch(() => undefined);
    await this.#turn;
    await this.#keeping;
    await this.#files?.[Symbol.asyncDispose]();
    await this.#options.provider[Symbol.asyncDispose]?.();
  }

  #follow(): void {
    const unfollow = new AbortController();
    this.#unfollow = unfollow;
    const signal = AbortSignal.any([this.#closing.signal, unfollow.signal]);
    const listening = (async () => {
      for await (const document of this.#connection.follow(signal)) {
        // The same again is a sign of life and no more.
        if (document.revision === this.#newest?.revision) continue;
        this.#heard++;
        this.#newest = document;
        this.#inbox.offer(document);
      }
    })();
    const taking = (async () => {
      for (;;) {
        const arrival = await this.#inbox.take(signal);
        if (!arrival) return;
        // What it was refused for has been told, in the log and in the status.
        await this.#take({ since: arrival.since, signal }).catch(() => this.#inbox.hasten(afterRejectionMs));
      }
    })();
    this.#following = Promise.all([listening, taking]);
  }

  /** Tries the newest document again: something that it refers to may have changed. */
  #again(): void {
    if (this.#newest && !this.#closing.signal.aborted) this.#inbox.offer(this.#newest);
  }

  /** The newest document from text to swap, one at a time. Throws what was wrong with it, after that has been told. */
  #take(watched?: Watched): Promise<ReloadEvent> {
    const taken = this.#turn.then(() => this.#serve(this.#newest as ConfigDocument, watched));
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  async #serve(document: ConfigDocument, watched?: Watched): Promise<ReloadEvent> {
    this.#closing.signal.throwIfAborted();
    clearTimeout(this.#timer);
    const started = performance.now();
    const durationSeconds = () => (performance.now() - started) / 1000;
    let snapshot: Snapshot | undefined;
    try {
      this.#refuseNothing(document);
      snapshot = await this.#options.load(document);
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
      const superseded = watched && mayBePartial(document, error) && this.#inbox.fills(partialMs, watched.signal);
      if (!(await superseded) && !this.#closing.signal.aborted)
        this.#rejected(document, error, durationSeconds(), snapshot);
      throw error;
    }
  }

  #refuseNothing(document: ConfigDocument): void {
    const { folder, missing } = document;
    if (this.#options.allowEmpty) return;
    // A local file that is empty from the start asks for the defaults, and is what serves when it is so again.
    const served = this.#serving?.content_hash ?? (folder === undefined ? undefined : contentHash(document));
    if (!missing && served === contentHash(document)) return;
    refuseEmpty(document, this.#serving !== undefined);
  }

  async #swap(document: ConfigDocument, snapshot: Snapshot): Promise<boolean> {
    const serving = this.#serving;
    const same = serving?.hash === snapshot.hash;
    const generation = same ? serving.generation : await this.#options.apply(snapshot);
    const { at, restart_required } = same ? serving : this.#fresh(snapshot);
    this.#serving = { ...identity(document, snapshot), generation, at, last_good: false, restart_required };
    return !same;
  }

  #fresh(snapshot: Snapshot) {
    return { at: new Date().toISOString(), restart_required: this.#options.restartRequired(snapshot) };
  }

  #served(document: ConfigDocument, snapshot: Snapshot, event: ReloadEvent): void {
    const { logger, onReload, lastGood } = this.#options;
    const { revision, hash, generation, restart_required } = this.#serving as ServedConfig;
    const mended = this.#error !== undefined;
    this.#error = undefined;
    this.#retries.reset();
    this.#followFiles(snapshot.files);
    this.#againIn(snapshot.refreshMs);
    // Followed for want of something to serve, and now there is something.
    if (!this.#options.watch) this.#unfollow?.abort();
    onReload?.(event);
    const ms = Math.round(event.durationSeconds * 1000);
    const fields = { source: document.source, revision, hash: hash.slice(0, 12), generation, ms };
    if (event.result === 'success') logger.info(fields, 'the configuration serves');
    else if (mended) logger.info(fields, 'the configuration is again the one that serves');
    else logger.debug(fields, 'the configuration has not changed in what it says');
    if (event.result === 'success' && restart_required.length > 0)
      logger.warn({ settings: restart_required }, 'some settings take effect when Hector is started anew');
    this.#keeping = lastGood?.keep(document);
    this.#changed();
  }

  #rejected(document: ConfigDocument, error: unknown, durationSeconds: number, snapshot?: Snapshot): void {
    const { logger, onReload, source, boot } = this.#options;
    const { rejected, result, mayMend, unforeseen, files } = refusalOf(document, error, snapshot);
    const known = this.#error;
    const sameContent = known?.content_hash === rejected.content_hash;
    const news = !sameContent || known.message !== rejected.message;
    if (!sameContent) this.#retries.reset();
    this.#error = news ? rejected : { ...known, revision: rejected.revision };
    // Where the policy is to fail, whoever asked for the start tells it.
    if (news && (this.#serving || boot !== 'fail')) {
      const fields = { source, revision: rejected.revision, code: rejected.code, reason: rejected.message };
      const then = this.#serving ? 'what serves now goes on' : 'nothing serves yet';
      logger.error(unforeseen ? { ...fields, err: error } : fields, `refused a configuration: ${then}`);
    }
    onReload?.({ result, durationSeconds });
    // Most of what a document refers to is known even when it cannot be served.
    if (files) this.#followFiles(files);
    if (mayMend) this.#againIn(this.#retries.next());
    if (news || known?.revision !== rejected.revision) this.#changed();
  }

  /** Nobody looks once more where the source is not followed. */
  #againIn(ms: number | undefined): void {
    if (ms === undefined || this.#closing.signal.aborted) return;
    const followed = this.#options.watch || !this.#serving || this.#serving.last_good;
    if (followed) this.#timer = setTimeout(() => this.#again(), Math.min(ms, 2 ** 31 - 1));
  }

  /** Told the same twice, a follower that sees a file otherwise than the loader does would have it loaded for ever. */
  #followFiles(files: ReadonlyMap<string, string>): void {
    const known = this.#knownFiles;
    if (files.size === known.size && [...files].every(([path, hash]) => known.get(path) === hash)) return;
    this.#knownFiles = files;
    this.#files?.set(files);
  }

  async #serveLastGood(): Promise<void> {
    const { lastGood, source, logger, load, apply } = this.#options;
    try {
      const document = await lastGood?.read(source);
      if (!document) return;
      const snapshot = await load(document);
      const generation = await apply(snapshot);
      this.#serving = { ...identity(document, snapshot), generation, last_good: true, ...this.#fresh(snapshot) };
      this.#followFiles(snapshot.files);
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

function identity(document: ConfigDocument, { hash }: Snapshot) {
  return { revision: document.revision, content_hash: contentHash(document), hash };
}
