import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { caddyMissing, startCaddy } from '../services/caddy.ts';
import { type Nginx, nginxMissing, startNginx } from '../services/nginx.ts';
import { postgresMissing, startPostgres } from '../services/postgres.ts';
import type { ReverseProxy } from '../services/reverse-proxy.ts';
import { freePort } from '../services/service.ts';
import { answer, userMessage } from '../support/a2a-client.ts';
import { metric } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import type { Cleanup } from '../support/llm.ts';
import { upstream } from '../support/proxied.ts';
import { through } from '../support/through-proxy.ts';
import { until } from '../support/until.ts';

const config = (database: string, delay: string) => `version: "2"
llms: { default: { provider: echo } }
agents: { assistant: {} }
server:
  trusted_proxies: [127.0.0.1]
  shutdown: { delay: ${delay} }
databases: { main: { driver: postgres, dsn: "${database}" } }
observability: { metrics: { enabled: true } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
`;

interface Sent {
  readonly status: number;
  readonly body: string;
}

/** Callers that go on asking one conversation each until they are told to stop. */
class Callers {
  readonly answers: Sent[] = [];
  readonly failures: unknown[] = [];
  #going = true;
  readonly #all: Promise<unknown>;

  constructor(proxy: ReverseProxy, count: number) {
    this.#all = Promise.all(Array.from({ length: count }, () => this.#call(proxy)));
  }

  async #call(proxy: ReverseProxy): Promise<void> {
    let contextId: string | undefined;
    while (this.#going) {
      const message = userMessage('hello', contextId === undefined ? {} : { contextId });
      try {
        const { status, ended } = await through(proxy, '/agents/assistant/message:send', { body: { message } });
        const body = await ended;
        this.answers.push({ status, body });
        if (status === 200) contextId = (JSON.parse(body) as { task: { contextId: string } }).task.contextId;
      } catch (error) {
        this.failures.push(error);
      }
    }
  }

  /** Waits until so many more have been answered. */
  async more(count: number): Promise<void> {
    const enough = this.answers.length + count;
    await until(() => this.answers.length >= enough || this.failures.length > 0, 30_000);
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#all;
  }
}

interface Rehearsal {
  /** `server.shutdown.delay`. */
  readonly delay: string;
  begin(upstreams: readonly string[]): Promise<ReverseProxy>;
  /** Before one is told to end. */
  away?(proxy: ReverseProxy, hectors: readonly Hector[], leaving: number): Promise<void>;
  /** When another is there in its place. */
  back?(proxy: ReverseProxy, hectors: readonly Hector[]): Promise<void>;
}

async function rehearse(t: Cleanup, { delay, begin, away, back }: Rehearsal): Promise<void> {
  const postgres = await startPostgres();
  t.after(() => postgres[Symbol.asyncDispose]());
  const database = postgres.url(await postgres.createDatabase());
  const ports = [await freePort(), await freePort()];
  const start = async (index: number) => {
    const hector = await startHector({ config: config(database, delay), args: ['--port', `${ports[index]}`] });
    t.after(() => hector[Symbol.asyncDispose]());
    return hector;
  };
  const hectors = [await start(0), await start(1)];
  const proxy = await begin(hectors.map(upstream));
  t.after(() => proxy[Symbol.asyncDispose]());

  const callers = new Callers(proxy, 8);
  t.after(() => callers.stop());
  await callers.more(50);
  for (let index = 0; index < hectors.length; index++) {
    await away?.(proxy, hectors, index);
    assert.equal(await hectors[index]?.stop(), 0);
    await callers.more(50);
    hectors[index] = await start(index);
    await back?.(proxy, hectors);
    const fresh = hectors[index] as Hector;
    await until(async () => (await metric(fresh, 'hector_tasks_running')) > 0, 30_000);
    await callers.more(50);
  }
  await callers.stop();

  assert.deepEqual(callers.failures, []);
  assert.deepEqual(
    callers.answers.filter(({ status }) => status !== 200),
    [],
  );
  // What was said before, by processes that are gone, is there; the last of each conversation among it.
  for (const { body } of [callers.answers[0], callers.answers.at(-1)] as Sent[]) {
    const { task } = JSON.parse(body);
    const found = await through(proxy, `/agents/assistant/tasks/${task.id}`);
    assert.equal(found.status, 200);
    assert.equal(answer(JSON.parse(await found.ended)), answer(task));
  }
  const [{ messages }] = (await postgres.query(
    'select max(last_sequence) as messages from hector_sessions',
    new URL(database).pathname.slice(1),
  )) as [{ messages: number }];
  assert.ok(messages > 8, 'conversations went on over all of it');
}

describe('replicas are replaced one by one under load, and no request fails', () => {
  test('behind nginx, by its configuration', { skip: nginxMissing || postgresMissing }, async (t) => {
    let nginx: Nginx | undefined;
    const reload = async (hectors: readonly Hector[], leaving?: number) => {
      await nginx?.reload(hectors.map((each, index) => `${upstream(each)}${index === leaving ? ' down' : ''}`));
      await nginx?.settled();
    };
    await rehearse(t, {
      delay: '0s',
      begin: async (upstreams) => (nginx = await startNginx({ upstreams })),
      away: (_, hectors, leaving) => reload(hectors, leaving),
      back: (_, hectors) => reload(hectors),
    });
  });

  test('behind Caddy, which asks them', { skip: caddyMissing || postgresMissing }, (t) =>
    rehearse(t, { delay: '3s', begin: (upstreams) => startCaddy({ upstreams }) }),
  );
});
