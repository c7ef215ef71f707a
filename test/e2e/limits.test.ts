import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { socketTo } from '../support/serving.ts';
import { until } from '../support/until.ts';

const MiB = 1024 ** 2;
const config = (server: string) => `server: ${server}
llms: { default: { provider: echo } }
agents: { parrot: {} }
`;

const ask = async ({ url }: Hector): Promise<number> =>
  (await rpc(`${url}/agents/parrot`, 'SendMessage', { message: userMessage('hi') }, { version: '1.0' })).status;
const portOf = ({ url }: Hector) => Number(new URL(url).port);

/** Resident memory in bytes; `undefined` where the system does not say. */
async function rss({ process: { pid } }: Hector): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const found = /^VmRSS:\s+(\d+) kB/m.exec(status);
  return found ? Number(found[1]) * 1024 : undefined;
}

const headers = (length: string) =>
  `POST /agents/parrot HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nA2A-Version: 1.0\r\n${length}\r\n\r\n`;

/** Sends 1 GiB, or as much of it as is taken. */
async function pour(socket: Socket, frame: (piece: Buffer) => readonly (string | Buffer)[]): Promise<number> {
  const piece = Buffer.alloc(64 * 1024, ' ');
  let sent = 0;
  while (sent < 1024 * MiB && socket.writable) {
    let room = true;
    for (const part of frame(piece)) room = socket.write(part);
    sent += piece.length;
    if (!room) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
  }
  return sent;
}

interface Body {
  readonly name: string;
  readonly length: string;
  frame(piece: Buffer): readonly (string | Buffer)[];
  /** What suffices to be refused. */
  readonly enough: number;
}

const bodies: readonly Body[] = [
  { name: 'Content-Length', length: `Content-Length: ${1024 * MiB}`, frame: (piece) => [piece], enough: 0 },
  {
    name: 'chunks',
    length: 'Transfer-Encoding: chunked',
    frame: (piece) => [`${piece.length.toString(16)}\r\n`, piece, '\r\n'],
    enough: MiB + 1,
  },
];

for (const { name, length, frame, enough } of bodies) {
  test(`a body of 1 GiB in ${name} is 413, and is not kept`, async () => {
    await using hector = await startHector({ config: config('{ max_body_size: 1MiB }') });
    assert.equal(await ask(hector), 200);
    const waits = await socketTo(portOf(hector));
    waits.write(headers(length));
    if (enough > 0) for (const part of frame(Buffer.alloc(enough, ' '))) waits.write(part);
    await once(waits, 'close');
    assert.match(waits.text(), /^HTTP\/1\.1 413 [\s\S]*"too_large"/);

    const before = await rss(hector);
    let most = 0;
    const watching = setInterval(async () => {
      most = Math.max(most, (await rss(hector)) ?? 0);
    }, 20);
    const sockets = await Promise.all([1, 2].map(() => socketTo(portOf(hector))));
    for (const socket of sockets) {
      socket.write(headers(length));
      await pour(socket, frame);
    }
    await until(() => sockets.every(({ closed }) => closed));
    clearInterval(watching);
    // Who writes on into a connection that is closed may lose the answer.
    for (const socket of sockets) assert.match(socket.text(), /^(HTTP\/1\.1 413 |$)/);
    if (before !== undefined) {
      const grown = Math.round((most - before) / MiB);
      assert.ok(grown < 128, `it has grown by ${grown} MiB`);
    }
    assert.equal(await ask(hector), 200);
  });
}

test('slow headers and slow bodies are cut off, and others are served meanwhile', async () => {
  await using hector = await startHector({ config: config('{ timeouts: { headers: 1s, request: 2s } }') });
  const slowHeaders = await socketTo(portOf(hector));
  const slowBody = await socketTo(portOf(hector));
  const silent = await socketTo(portOf(hector));
  slowHeaders.write('POST /agents/parrot HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  slowBody.write(headers('Content-Length: 1000'));
  const drip = setInterval(() => {
    slowHeaders.write('a');
    slowBody.write(' ');
  }, 50);
  const closed = Promise.all([slowHeaders, slowBody, silent].map((socket) => once(socket, 'close')));
  try {
    assert.equal(await ask(hector), 200);
    await closed;
  } finally {
    clearInterval(drip);
  }
  for (const socket of [slowHeaders, slowBody, silent]) assert.match(socket.text(), /^(HTTP\/1\.1 408 |$)/);
  assert.match(slowHeaders.text(), /"timeout"/);
  assert.equal(await ask(hector), 200);
});

const idle = 10_000;

/** How many files a process may open at most; Node takes all of that for itself. */
async function openFiles(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const found = /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(limits);
  return found?.[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found?.[1] ?? 0);
}

test(`${idle} idle connections stop nobody`, async (t) => {
  const most = await openFiles();
  if (most < idle + 500) return t.skip(`a process may open ${most} files: see ulimit -Hn`);
  await using hector = await startHector({
    config: config('{ timeouts: { headers: 5m, request: 5m }, limits: { max_connections: 11000 } }'),
  });
  const port = portOf(hector);
  const sockets: Socket[] = [];
  let open = 0;
  const one = async () => {
    while (sockets.length < idle) {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => {}).on('close', () => open--);
      await once(socket, 'connect');
      open++;
    }
  };
  try {
    await Promise.all(Array.from({ length: 100 }, one));
    for (let at = 0; at < 20; at++) assert.equal(await ask(hector), 200);
    assert.equal((await fetch(`${hector.url}/health/ready`)).status, 200);
    assert.equal(open, idle, 'all of them are still there');
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});
