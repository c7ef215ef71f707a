import { constants } from 'node:os';
import { formatIssue } from '../../core/config/issue.ts';
import { milliseconds } from '../../core/config/language/common.ts';
import type { ServerConfig } from '../../core/config/language/server.ts';
import { LastGood } from '../../core/config/last-good.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import type { FileFollower } from '../../core/config/watcher.ts';
import { errorMessage, HectorError } from '../../core/errors.ts';
import type { ConfigDocument } from '../../core/extension/config-provider.ts';
import type { Logger } from '../../core/logger.ts';
import { watchFiles } from '../../plugins/builtin.ts';
import { banner, waitingBanner } from '../banner.ts';
import { type Announcing, type FollowedSource, type RunningHector, startHector } from '../hector.ts';
import { LateLogger } from '../late-logger.ts';
import { type Logging, openLogging } from '../logging.ts';
import { type ReloadReport, ServiceManager } from '../service-manager.ts';
import { version } from '../version.ts';
import type { Flags } from './flags.ts';
import { print, showsColor } from './output.ts';
import { type ConfigSource, lastGoodPath, openSource, type SourceFlags } from './source.ts';
import { UsageError } from './usage-error.ts';

export interface ServeFlags extends Flags, SourceFlags {
  readonly studio?: boolean;
}

/** The store is asked for so long before the log is opened without its word. */
const firstReadMs = 3_000;

/** What a shutdown takes at most besides the times that are set: for responses to go out and resources to be closed. */
const afterWorkMs = 15_000;

type EndSignal = 'SIGTERM' | 'SIGINT';

/** Serves until a signal ends it. Standard output gets the banner and nothing else; the log goes to standard error. */
export async function serveCommand(flags: ServeFlags): Promise<number> {
  const signals = new EndSignals();
  let running: RunningHector | undefined;
  const late = new LateLogger();
  const manager = ServiceManager.of(process.env, late.logger);
  // Before there is anything to reload, what is to be served is about to be read anyway.
  process.on('SIGHUP', () => running && onHangup(running, manager));
  await using source = await openSource({ ...flags, ...(flags.studio && { watch: true }) }, flags, late.logger);
  const local = await source.loadLocal();
  const { snapshot: first, failure } = source.remote ? await readFirst(source) : { snapshot: local };
  const settings = (first ?? local).config;
  if (flags.studio) refuseOpenStudio(settings.server);
  const { level, format, file } = settings.logger;
  await using logging = openLogging({ level, format, file, secrets: (first ?? local).secrets });
  const { logger } = logging;
  late.become(logger);
  endOnBugs(logging);
  logWarnings(logger);

  const warnings = [...(first?.warnings ?? [])];
  const hector = await startHector({
    serve: { source: followed(source, { studio: flags.studio, logger, fallback: local, failure, manager }) },
    logger,
    onSecrets: (secrets) => logging.setSecrets(secrets),
    onServing: (snapshot) => {
      logging.setLevel(snapshot.config.logger.level);
      // Those of the first are told with what its building has to say.
      for (const issue of running ? snapshot.warnings : [])
        logger.warn({ rule: issue.rule }, formatIssue(source.source, issue));
    },
    onWarning: (issue) => {
      if (running) logger.warn({ rule: issue.rule }, formatIssue(source.source, issue));
      else warnings.push(issue);
    },
  });
  running = hector;
  // Whoever watches the terminal reads them in the banner.
  const watched = file === undefined && process.stderr.isTTY === true;
  for (const issue of watched ? [] : warnings) logger.warn({ rule: issue.rule }, formatIssue(source.source, issue));
  const { url, adminUrl, port } = hector;
  const color = showsColor(process.stdout);
  const contents = hector.generation?.contents;
  logger.info({ version, url, port, source: source.source, hash: contents?.hash.slice(0, 12) }, 'serving');
  await print(
    contents
      ? banner({ version, url, adminUrl, contents, warnings, color })
      : waitingBanner({ version, url, adminUrl, source: source.source, color }),
  );

  const signal = await signals.first();
  const { delay, timeout } = (hector.generation?.contents.config ?? settings).server.shutdown;
  manager?.stopping(milliseconds(delay) + milliseconds(timeout) + afterWorkMs);
  await hector.close(`Hector is shut down (${signal}).`);
  await manager?.settled();
  logger.info({ signal }, 'shut down');
  return 0;
}

interface FollowedOptions {
  readonly studio: boolean | undefined;
  readonly logger: Logger;
  readonly fallback: Snapshot;
  readonly failure?: unknown;
  readonly manager: ServiceManager | undefined;
}

/** As the source is set up, from options to what the watcher takes. */
function followed(
  source: ConfigSource,
  { studio = false, logger, fallback, failure, manager }: FollowedOptions,
): FollowedSource {
  const { provider, settings, name } = source;
  const ms = (text: string | undefined, otherwise: number) => (text === undefined ? otherwise : milliseconds(text));
  const lastGood = lastGoodPath(source);
  return {
    provider,
    providerName: name,
    source: source.source,
    instance: source.instance,
    watch: settings.watch,
    boot: settings.boot ?? (source.remote ? 'last_good' : 'fail'),
    allowEmpty: settings.allow_empty,
    times: {
      debounceMs: milliseconds(settings.debounce),
      maxDebounceMs: milliseconds(settings.max_debounce),
      throttleMs: ms(settings.throttle, name === 'file' ? 0 : 2_000),
    },
    warmMs: milliseconds(settings.warm_timeout),
    lastGood: lastGood === undefined ? undefined : new LastGood(lastGood, logger),
    fallback: fallback.config,
    failure,
    studio,
    load: source.load,
    check: source.check,
    write: (content, expected, signal) => source.write(content, expected, { by: 'the configuration API', signal }),
    watchFiles: (onChange) => watchSourceFiles(source, onChange),
    announce: (status) => toldToo(announce(source, status), manager, status),
  };
}

/** The other replicas' way to know of this one, where the store has one. */
function announce({ provider, instance, settings }: ConfigSource, status: ConfigStatus): Announcing | undefined {
  if (!settings.watch) return undefined;
  const announcement = provider.annex?.announce?.(`replicas/${instance}`, JSON.stringify(status));
  return (
    announcement && {
      update: (next) => announcement.update(JSON.stringify(next)),
      [Symbol.asyncDispose]: () => announcement[Symbol.asyncDispose](),
    }
  );
}

/** Who started this process is to know what the other replicas know. */
function toldToo(
  announcing: Announcing | undefined,
  manager: ServiceManager | undefined,
  status: ConfigStatus,
): Announcing | undefined {
  if (!manager) return announcing;
  manager.update(status);
  return {
    update(next) {
      manager.update(next);
      announcing?.update(next);
    },
    async [Symbol.asyncDispose]() {
      await announcing?.[Symbol.asyncDispose]();
    },
  };
}

/** What the source has now: how to log is among what it may say. What is wrong with it is for the watcher to tell. */
async function readFirst(source: ConfigSource): Promise<{ snapshot?: Snapshot; failure?: unknown }> {
  let document: ConfigDocument;
  const late = AbortSignal.timeout(firstReadMs);
  try {
    document = await source.read(late);
  } catch (failure) {
    const silent = `The configuration ${source.source} was not to be had within ${firstReadMs / 1_000} s.`;
    return { failure: late.aborted ? new HectorError('config_unreadable', silent, { cause: failure }) : failure };
  }
  try {
    return { snapshot: await source.loadFirst(document) };
  } catch {
    return {};
  }
}

async function onHangup(hector: RunningHector, manager: ServiceManager | undefined): Promise<void> {
  hector.logger.info({}, 'SIGHUP: reading the configuration');
  if (manager) await manager.reloading(() => reload(hector));
  else await reload(hector);
}

async function reload({ watcher, logger }: RunningHector): Promise<Omit<ReloadReport, 'at'>> {
  try {
    const result = (await watcher?.reload())?.result ?? 'noop';
    const { generation, hash } = watcher?.status().serving ?? {};
    const which = `generation ${generation} (${hash?.slice(0, 12)})`;
    return { result, message: result === 'noop' ? `Nothing has changed: ${which} serves.` : `Now ${which} serves.` };
  } catch (error) {
    const { connected, error: refused } = watcher?.status() ?? {};
    // What is wrong with a document the watcher has told.
    if (connected === false) {
      logger.error({ reason: errorMessage(error) }, 'the configuration cannot be read; what serves now goes on');
      return { result: 'load_error', message: `The configuration cannot be read: ${errorMessage(error)}` };
    }
    return { result: 'rejected', message: `The configuration is refused: ${refused?.message ?? errorMessage(error)}` };
  }
}

/** Whoever can reach the port could run code of his own. */
function refuseOpenStudio({ auth, admin, host }: ServerConfig): void {
  const reached = admin?.host ?? host;
  if (auth?.enabled || ['127.0.0.1', '::1', 'localhost'].includes(reached)) return;
  const advice = admin ? 'set server.admin.host: 127.0.0.1' : 'add --host 127.0.0.1';
  throw new UsageError(
    `--studio lets whoever can reach the port change the configuration, so without server.auth it only listens on this machine: ${advice} (it is ${reached}), or enable server.auth.`,
  );
}

/** Ctrl-C under `npm start` arrives twice: from the terminal and from npm. So shortly after the first it is the same. */
const sameSignalMs = 50;

/** The first signal asks for an orderly end; the second, and one before there is anything to end, ends the process at once. */
class EndSignals {
  readonly #first: Promise<EndSignal>;
  #since: number | undefined;
  #listening = false;

  constructor() {
    let resolve = (_signal: EndSignal) => {};
    this.#first = new Promise((done) => {
      resolve = done;
    });
    const receive = (signal: EndSignal) => {
      if (this.#since !== undefined && performance.now() - this.#since < sameSignalMs) return;
      if (this.#since !== undefined || !this.#listening) process.exit(128 + constants.signals[signal]);
      this.#since = performance.now();
      resolve(signal);
    };
    process.on('SIGTERM', receive);
    process.on('SIGINT', receive);
  }

  first(): Promise<EndSignal> {
    this.#listening = true;
    return this.#first;
  }
}

/** What Node warns of, a deprecation in a plugin, is a line like any other. */
function logWarnings(logger: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', (err) => logger.warn({ err }, 'a warning of Node'));
}

/** After an error that nobody caught, nothing is known of the state of the process any more. */
function endOnBugs({ logger, flushSync }: Logging): void {
  process.on('uncaughtException', (err, origin) => {
    logger.error({ err, origin }, 'an error that nobody caught: the process ends');
    flushSync();
    process.exit(1);
  });
}

/** The files that a configuration refers to, and the local one that says where it is. */
function watchSourceFiles(source: ConfigSource, onChange: () => void): FileFollower {
  const watch = watchFiles(new Map(), onChange);
  return {
    set: (files) => watch.set(new Map([...files, ...source.files])),
    [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
  };
}
