import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import Router from '@koa/router';
import type { Logger } from '../../core/logger.ts';
import type { Runtime } from '../../core/runtime/runtime.ts';
import { listen, portOf } from '../../server/listen.ts';
import { Operations } from '../../server/operations.ts';
import { pipeline } from '../../server/pipeline.ts';
import type { RequestState } from '../../server/state.ts';
import { closeServer } from './close-server.ts';
import { type GenerationWish, handmadeRuntime, serverDefaults } from './generations.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Keeps what is logged. */
export function listLogger(lines: LogLine[], bound: object = {}): Logger {
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ ...bound, ...fields, level, message });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => listLogger(lines, { ...bound, ...fields }),
  };
}

export interface Serving extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly server: Awaited<ReturnType<typeof listen>>;
  readonly runtime: Runtime<GenerationWish>;
  readonly operations: Operations;
  readonly lines: LogLine[];
}

/** The real HTTP side on a real socket, with routes of the test's own. `null`: no generation yet. */
export async function serving(
  routes: (router: Router<RequestState>) => void,
  wish: GenerationWish | null = {},
): Promise<Serving> {
  const lines: LogLine[] = [];
  const logger = listLogger(lines);
  const runtime = handmadeRuntime();
  if (wish) await runtime.reload(wish);
  const operations = new Operations({ runtime, version: '2.0.0', logger, pingMs: 100, cacheMs: 0 });
  const router = new Router<RequestState>();
  routes(router);
  const observer = { endpoint: '/metrics', httpAnswered: () => {} };
  const app = pipeline({ runtime, operations, logger, observer, routes: [router] });
  const server = await listen({ ...serverDefaults, ...wish?.server }, app.callback(), logger);
  const port = portOf(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    runtime,
    operations,
    lines,
    async [Symbol.asyncDispose]() {
      await closeServer(server);
      await runtime.close(1_000);
    },
  };
}

/** A bare socket: for requests that no HTTP client would send. */
export async function socketTo(port: number): Promise<Socket & { text(): string }> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return Object.assign(socket, { text: () => received });
}
