import type { LoadOptions } from '../../core/config/load.ts';
import { loadSnapshot } from '../../core/config/load.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import type { ConfigStatus, ReloadEvent } from '../../core/config/status.ts';
import { ConfigWatcher, type FileFollower, type WatcherOptions } from '../../core/config/watcher.ts';
import type { ConfigDocument, ConfigProvider } from '../../core/index.ts';
import { type LogLine, listLogger } from './serving.ts';
import { standIns } from './stand-ins.ts';

/** A source that says what a test tells it to, and fails when it is told to. */
export class ScriptedSource implements ConfigProvider {
  document: ConfigDocument;
  /** Thrown by every watch while it is set. */
  down: Error | undefined;
  /** Watches are taken and get no answer. */
  silent = false;
  /** What a new watch waits for before it answers. */
  gate: Promise<unknown> = Promise.resolve();
  /** Watches so far, and those that go on. */
  watches = 0;
  open = 0;
  disposed = 0;
  #turn = 0;
  #wake = new Set<() => void>();

  constructor(document: Partial<ConfigDocument> = {}) {
    this.document = { text: 'name: one\n', source: 'memory:hector', revision: 'r1', ...document };
  }

  /** The next revision. */
  say(document: string | Partial<ConfigDocument>): ConfigDocument {
    const { source, folder, revision } = this.document;
    const next = { text: '', source, revision: `r${Number(revision.slice(1)) + 1}`, ...(folder ? { folder } : {}) };
    this.document = { ...next, ...(typeof document === 'string' ? { text: document } : document) };
    this.beat();
    return this.document;
  }

  /** Says the same again; a failure that was set is thrown. */
  beat(): void {
    this.#turn++;
    for (const wake of this.#wake) wake();
  }

  fail(error: Error): void {
    this.down = error;
    this.beat();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<ConfigDocument> {
    this.watches++;
    this.open++;
    let wake = () => {};
    const ring = () => wake();
    this.#wake.add(ring);
    signal.addEventListener('abort', ring);
    try {
      await this.gate;
      let said = -1;
      while (!signal.aborted) {
        if (this.down) throw this.down;
        if (!this.silent && said !== this.#turn) {
          said = this.#turn;
          yield this.document;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.open--;
      this.#wake.delete(ring);
      signal.removeEventListener('abort', ring);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
  }
}

/** Files that a test changes by hand. */
export class ScriptedFiles implements FileFollower {
  /** What it was told, each time. */
  readonly told: ReadonlyMap<string, string>[] = [];
  disposed = false;
  change: () => void = () => {};

  set(files: ReadonlyMap<string, string>): void {
    this.told.push(files);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }
}

export interface WatchingWish extends Partial<WatcherOptions> {
  readonly document?: Partial<ConfigDocument>;
  /** In place of one that says `document`. */
  readonly script?: ScriptedSource;
  /** Of `${VAR}`, looked up anew with each document. */
  readonly environment?: Record<string, string | undefined>;
  readonly builtins?: LoadOptions['builtins'];
}

export interface Watching extends AsyncDisposable {
  readonly watcher: ConfigWatcher;
  readonly source: ScriptedSource;
  readonly files: ScriptedFiles;
  readonly lines: LogLine[];
  readonly events: ReloadEvent[];
  readonly statuses: ConfigStatus[];
  /** Names of what was applied, in order. */
  readonly applied: string[];
  /** `name` of what serves. */
  serving(): string | undefined;
  logged(message: RegExp): readonly LogLine[];
  results(): readonly ReloadEvent['result'][];
}

/** A watcher with a scripted source, the real checks, and what becomes of it written down. */
export function watching({
  document,
  script,
  environment = {},
  builtins = [standIns],
  ...wish
}: WatchingWish = {}): Watching {
  const source = script ?? new ScriptedSource(document);
  const files = new ScriptedFiles();
  const lines: LogLine[] = [];
  const events: ReloadEvent[] = [];
  const statuses: ConfigStatus[] = [];
  const applied: string[] = [];
  let generation = 0;
  const { apply = async () => generation + 1 } = wish;
  const watcher = new ConfigWatcher({
    provider: source,
    providerName: 'memory',
    source: source.document.source,
    instance: 'one',
    version: '2.0.0',
    watch: true,
    boot: 'wait',
    allowEmpty: false,
    times: { debounceMs: 0, maxDebounceMs: 0, throttleMs: 0 },
    logger: listLogger(lines),
    load: (next) => loadSnapshot(next, { builtins, environment: { get: (name) => environment[name] } }),
    write: async () => 'r0',
    draining: () => [],
    restartRequired: () => [],
    onReload: (event) => events.push(event),
    onStatus: (status) => statuses.push(status),
    watchFiles: (onChange) => {
      files.change = onChange;
      return files;
    },
    ...wish,
    apply: async (snapshot: Snapshot) => {
      generation = await apply(snapshot);
      applied.push(String(snapshot.config.name));
      return generation;
    },
  });
  return {
    watcher,
    source,
    files,
    lines,
    events,
    statuses,
    applied,
    serving: () => applied.at(-1),
    logged: (message) => lines.filter((line) => message.test(line.message)),
    results: () => events.map(({ result }) => result),
    [Symbol.asyncDispose]: () => watcher[Symbol.asyncDispose](),
  };
}
