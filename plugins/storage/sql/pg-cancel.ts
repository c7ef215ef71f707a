import { connect } from 'node:net';

const patienceMs = 2_000;

export interface Session {
  readonly host: string;
  readonly port: number;
  readonly processId: number;
  readonly secretKey: number;
}

/**
 * Asks the server to give up what a session is doing. Whether it heard is not told by the protocol; the connection has been
 * given up in any case. The request goes in the clear, which servers take before they ask who it is.
 */
export function cancelStatement({ host, port, processId, secretKey }: Session): void {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80877102, 4);
  request.writeInt32BE(processId, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  const timer = setTimeout(() => socket.destroy(), patienceMs);
  socket.on('error', () => {});
  socket.on('close', () => clearTimeout(timer));
  socket.end(request);
}
