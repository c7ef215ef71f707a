import type { ConfigIssue } from '../core/config/issue.ts';
import { milliseconds } from '../core/config/language/common.ts';
import type { Snapshot } from '../core/config/snapshot.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { Generation } from '../core/runtime/generation.ts';
import { ResourcePool } from '../core/runtime/resource-pool.ts';
import { Runtime } from '../core/runtime/runtime.ts';
import { Executions } from '../core/task/executions.ts';
import { createApp } from './app.ts';
import { build } from './build.ts';
import { listen, portOf } from './listen.ts';
import { Operations } from './operations.ts';
import { reachableHost } from './reachable-host.ts';
import { shutdown } from './shutdown.ts';
import { version } from './version.ts';

export interface HectorOptions {
  readonly snapshot: Snapshot;
  readonly logger?: Logger;
  /** What works but is likely not meant; default: logged. */
  onWarning?(issue: ConfigIssue): void;
}

export interface RunningHector extends AsyncDisposable {
  /** The way to it from this machine. */
  readonly url: string;
  readonly port: number;
  readonly generation: Generation;
  /** Serves another configuration from now on; if that cannot be built, the one before, and throws. */
  reload(snapshot: Snapshot): Promise<Generation>;
  /** Ends in order: see `shutdown`. A second call waits for the first. */
  close(reason: string): Promise<void>;
}

/** How long work may take to end after it was told to. */
const abortMs = 5_000;
/** Replaced configurations that may have work left at once. */
const maxDraining = 8;

/** Builds what a configuration asks for and serves it. */
export async function startHector(options: HectorOptions): Promise<RunningHector> {
  const { snapshot, logger = silentLogger } = options;
  const onWarning = (issue: ConfigIssue) =>
    options.onWarning ? options.onWarning(issue) : logger.warn({ path: issue.path.join('.') }, issue.message);
  const pool = new ResourcePool();
  const runtime = new Runtime<Snapshot>({
    build: (id, next) => build(id, next, { pool, logger, onWarning }),
    drainMs: ({ contents }) => milliseconds(contents.config.server.drain_timeout) || Number.POSITIVE_INFINITY,
    abortMs,
    maxDraining,
    logger,
  });
  const generation = await runtime.reload(snapshot);
  const executions = new Executions({ logger });
  const operations = new Operations({ runtime, version, logger });
  const app = createApp({ runtime, executions, operations, logger });
  const { host } = snapshot.config.server;
  const server = await listen(snapshot.config.server, app.callback(), logger).catch(async (error: unknown) => {
    await runtime.close(0);
    throw error;
  });
  const port = portOf(server);

  let closing: Promise<void> | undefined;
  const close = (reason: string) => {
    const { delay, timeout } = (runtime.current ?? generation).contents.config.server.shutdown;
    closing ??= shutdown({
      server,
      operations,
      executions,
      runtime,
      logger,
      delayMs: milliseconds(delay),
      timeoutMs: milliseconds(timeout),
      reason,
    });
    return closing;
  };
  return {
    url: `http://${reachableHost(host)}:${port}`,
    port,
    generation,
    reload: (next) => runtime.reload(next),
    close,
    [Symbol.asyncDispose]: () => close('Hector is shut down.'),
  };
}
