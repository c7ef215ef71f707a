import { once } from 'node:events';
import type { Server } from 'node:http';
import { setImmediate } from 'node:timers/promises';

/** Closes an HTTP server of this process with all its connections. */
export async function closeServer(server: Server): Promise<void> {
  const closed = server.listening ? once(server, 'close') : undefined;
  if (closed) server.close();
  server.closeAllConnections();
  await closed;
  await clientsKnow();
}

/**
 * Waits until clients of this process have read that connections are gone: one turn of the event loop reads it, the next tells
 * it. The next server may get the same port, and `fetch` would send to it on a connection that it has kept.
 */
export async function clientsKnow(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await setImmediate();
}
