import { constants } from 'node:os';
import { formatIssue } from '../../core/config/issue.ts';
import { banner } from '../banner.ts';
import { startHector } from '../hector.ts';
import { type Logging, openLogging } from '../logging.ts';
import { version } from '../version.ts';
import { loadConfiguration } from './configuration.ts';
import type { Flags } from './flags.ts';
import { print, showsColor } from './output.ts';

export interface ServeFlags extends Flags {
  readonly config?: string;
}

type EndSignal = 'SIGTERM' | 'SIGINT';

/** Serves until a signal ends it. Standard output gets the banner and nothing else; the log goes to standard error. */
export async function serveCommand({ config, ...flags }: ServeFlags): Promise<number> {
  const signals = new EndSignals();
  const snapshot = await loadConfiguration(config, flags);
  const { level, format, file } = snapshot.config.logger;
  await using logging = openLogging({ level, format, file, secrets: snapshot.secrets });
  const { logger } = logging;
  endOnBugs(logging);

  const warnings = [...snapshot.warnings];
  const hector = await startHector({ snapshot, logger, onWarning: (issue) => void warnings.push(issue) });
  // Whoever watches the terminal reads them in the banner.
  const watched = file === undefined && process.stderr.isTTY === true;
  for (const issue of watched ? [] : warnings) logger.warn({ rule: issue.rule }, formatIssue(snapshot.source, issue));
  const { contents } = hector.generation;
  const { url, port } = hector;
  logger.info({ version, url, port, source: contents.source, hash: contents.hash.slice(0, 12) }, 'serving');
  await print(banner({ version, url, contents, warnings, color: showsColor(process.stdout) }));

  const signal = await signals.first();
  await hector.close(`Hector is shut down (${signal}).`);
  logger.info({ signal }, 'shut down');
  return 0;
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

/** After an error that nobody caught, nothing is known of the state of the process any more. */
function endOnBugs({ logger, flushSync }: Logging): void {
  process.on('uncaughtException', (err, origin) => {
    logger.error({ err, origin }, 'an error that nobody caught: the process ends');
    flushSync();
    process.exit(1);
  });
}
