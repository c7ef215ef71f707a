import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const callbacks = Symbol('callbacks');
type Watched = ServerResponse & { [callbacks]?: (() => void)[] };

/** Responses that wait for their turn on a connection (HTTP pipelining), by connection. */
const waiting = new WeakMap<Socket, Set<Watched>>();

/**
 * Calls `done` once: when the response has been sent to its last byte, or its connection is gone.
 *
 * The response's own `close` says so, but not for a pipelined one whose connection goes before its turn: that has no
 * socket yet and never hears of it. One listener a response, however many ask: this is on the path of every request.
 */
export function onResponseClose({ socket }: IncomingMessage, response: Watched, done: () => void): void {
  const isWaiting = response.socket === null;
  if (response.closed || (isWaiting && socket.destroyed)) {
    done();
    return;
  }
  const known = response[callbacks];
  if (known) {
    known.push(done);
    return;
  }
  response[callbacks] = [done];
  response.on('close', closed);
  if (isWaiting) queueOf(socket).add(response);
}

function closed(this: Watched): void {
  waiting.get(this.req.socket)?.delete(this);
  settle(this);
}

function settle(response: Watched): void {
  const all = response[callbacks] ?? [];
  response[callbacks] = [];
  for (const done of all) done();
}

function queueOf(socket: Socket): Set<Watched> {
  const known = waiting.get(socket);
  if (known) return known;
  const queue = new Set<Watched>();
  waiting.set(socket, queue);
  socket.once('close', () => {
    for (const response of queue) settle(response);
  });
  return queue;
}
