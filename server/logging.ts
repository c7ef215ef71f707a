import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { HectorConfig } from '../core/config/language/hector.ts';
import { Secrets } from '../core/config/secrets.ts';
import { errorCode, errorMessage, HectorError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { traceIds } from '../core/telemetry/work.ts';
import { describeError } from './log-error.ts';
import { type LineFormat, lineFormat } from './log-format.ts';
import { nothingToReopen, type Reopenable, reopenWhenMoved } from './reopening.ts';

export interface LoggingOptions {
  readonly level: HectorConfig['logger']['level'];
  readonly format: HectorConfig['logger']['format'];
  /** A path; default: standard error. */
  readonly file?: string | undefined;
  readonly secrets?: Secrets;
}

/** The process's log, and what the process does with it beyond writing lines. */
export interface Logging extends AsyncDisposable {
  readonly logger: Logger;
  /** From the next line on these are what no line may hold. */
  setSecrets(secrets: Secrets): void;
  /** From the next line on, also for the loggers that were made of this one before. */
  setLevel(level: LoggingOptions['level']): void;
  /** For an end that cannot wait. */
  flushSync(): void;
  /** Resolves when every line is written; later ones are lost. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Lines that wait for a slow disk or terminal; what comes on top of so many bytes is dropped, and that is said later. */
const maxWaitingBytes = 8 * 1024 * 1024;
const closeMs = 2_000;

export function openLogging({ level, format, file, secrets = new Secrets([]) }: LoggingOptions): Logging {
  const fd = file === undefined ? process.stderr.fd : openLogFile(file);
  const destination = pino.destination({ dest: fd, mode: 0o640, sync: false, maxLength: maxWaitingBytes });
  const toLine = lineFormat(format, file === undefined && process.stderr.isTTY === true && !process.env['NO_COLOR']);
  let scrub = scrubber(secrets);
  const write: LineFormat = (json) => toLine(scrub(json));

  let least = severity(level);
  const logger = pino(
    {
      // A child keeps the level that it was made with, so what is left out is decided when a line comes.
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // The core writes an error as a text from which it has taken the secrets.
      // A new object each time: pino writes into it.
      mixin: () => ({ ...traceIds() }),
      serializers: { err: describeError, error: (error) => (typeof error === 'string' ? error : describeError(error)) },
      hooks: {
        streamWrite: write,
        logMethod(args, method, of) {
          if (of >= least) method.apply(this, args);
        },
      },
    },
    destination,
  );

  const moved =
    file === undefined
      ? nothingToReopen()
      : reopenWhenMoved(resolve(file), destination as typeof destination & Reopenable);
  let broken = false;
  destination.on('error', (error: unknown) => {
    if (errorCode(error) === 'EPIPE') {
      // Nobody reads the log any more, which is no reason to stop serving.
      broken = true;
      return;
    }
    if (file !== undefined) process.stderr.write(`hector: ${file} cannot be written: ${errorMessage(error)}\n`);
  });
  let dropped = 0;
  destination.on('drop', () => dropped++);
  destination.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    logger.warn({ lines }, 'log lines were dropped: they came faster than they could be written');
  });

  return {
    logger,
    setSecrets(next) {
      scrub = scrubber(next);
    },
    setLevel(next) {
      least = severity(next);
    },
    flushSync() {
      if (!broken) destination.flushSync();
    },
    async [Symbol.asyncDispose]() {
      moved[Symbol.dispose]();
      if (broken) return;
      const closed = once(destination, 'close');
      destination.end();
      const timer = new AbortController();
      await Promise.race([closed, sleep(closeMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    },
  };
}

function severity(level: LoggingOptions['level']): number {
  return pino.levels.values[level === 'warning' ? 'warn' : level] ?? 0;
}

function openLogFile(file: string): number {
  const path = resolve(file);
  try {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, 'a', 0o640);
  } catch (error) {
    throw new HectorError(
      'log_file',
      `The log file ${path} cannot be written (${errorCode(error) ?? errorMessage(error)}). Choose another with --log-file or logger.file, or leave it out to log to standard error.`,
      { cause: error },
    );
  }
}

/** Takes secrets out of a line of JSON. */
function scrubber(secrets: Secrets): (json: string) => string {
  return (json) => {
    const scrubbed = secrets.redact(json);
    return scrubbed === json ? json : stillJson(scrubbed);
  };
}

/** A secret of digits may have been a number on the line, and its stars are none. */
function stillJson(line: string): string {
  try {
    JSON.parse(line);
    return line;
  } catch {
    const quoted = line.replaceAll(/([:,[])([^",:[\]{}]*\*\*\*[^",:[\]{}]*)(?=[,}\]])/g, '$1"$2"');
    try {
      JSON.parse(quoted);
      return quoted;
    } catch {
      return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), line: line.trim(), msg: 'a line that held a secret' })}\n`;
    }
  }
}
