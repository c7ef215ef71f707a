import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../core/logger.ts';
import type { Operations } from './operations.ts';

interface Leased {
  readonly leases: number;
}

export interface ShutdownOptions {
  readonly server: Server;
  readonly operations: Operations;
  /** No new work; awaits what runs, then ends it as failed with the reason. */
  readonly executions: { readonly running: number; close(withinMs: number, reason: string): Promise<void> };
  /** What is still to be told of tasks that have ended: delivered within the time, or dropped. */
  readonly push?: { close(withinMs: number): Promise<void> };
  readonly runtime: {
    readonly current: Leased | undefined;
    readonly draining: readonly Leased[];
    close(withinMs: number): Promise<void>;
  };
  readonly logger: Logger;
  /** How long requests are still taken while the probes already say no. */
  readonly delayMs: number;
  /** How long work in flight is awaited. */
  readonly timeoutMs: number;
  readonly reason: string;
  /** How long responses may take to go out after the last work has ended. */
  readonly flushMs?: number;
}

const sweepMs = 100;

/**
 * Ends the process's work in an order that loses nothing: first the probes say no while requests are still served, then
 * the port is closed, work in flight is awaited, what does not end is ended as failed (its readers are told), and only
 * then are connections cut and resources disposed.
 */
export async function shutdown(options: ShutdownOptions): Promise<void> {
  const {
    server,
    operations,
    executions,
    push,
    runtime,
    logger,
    delayMs,
    timeoutMs,
    reason,
    flushMs = 2_000,
  } = options;
  operations.drain();
  logger.info({ reason, delayMs, timeoutMs, running: executions.running }, 'shutting down');
  if (delayMs > 0) await sleep(delayMs);

  const started = performance.now();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection may become idle at any time, and would then be waited for until its keep-alive timeout.
  const sweep = setInterval(() => server.closeIdleConnections(), sweepMs);
  server.closeIdleConnections();

  await executions.close(timeoutMs, reason);
  const deadline = Math.max(started + timeoutMs, performance.now() + flushMs);
  const pushed = push?.close(deadline - performance.now());
  while (requests(runtime) > 0 && performance.now() < deadline) await sleep(sweepMs / 4);
  clearInterval(sweep);
  const cut = requests(runtime);
  if (cut > 0) logger.warn({ requests: cut }, 'requests that did not end in time were cut');
  // What is left has no request under way: it was opened and never used, say.
  server.closeAllConnections();
  await closed;
  await pushed;
  await runtime.close(flushMs);
}

/** Every request holds a lease until its response closes. */
function requests({ current, draining }: ShutdownOptions['runtime']): number {
  return [current, ...draining].reduce((sum, generation) => sum + (generation?.leases ?? 0), 0);
}
