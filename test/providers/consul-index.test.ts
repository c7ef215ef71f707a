import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Following } from '../support/following.ts';
import { until } from '../support/until.ts';
import { openConsul } from './consul-opened.ts';

/** What a real agent does seldom or never: an agent whose index and manners are made up. Keeps one key. */
class MadeUpAgent implements AsyncDisposable {
  /** The `index` of each question for the key: `undefined` is one that does not wait. */
  readonly asked: (string | undefined)[] = [];
  /** Answers at once, whether there is something newer or not. */
  waits = true;
  /** Does not answer who waits when something changes. */
  deaf = false;
  leader = '127.0.0.1:8300';
  #index: bigint;
  #text: string;
  #version = 1;
  #answer: ((response: ServerResponse) => void) | undefined;
  #wake = new Set<() => void>();
  readonly #server = createServer((request, response) => void this.#handle(request, response));

  constructor(index: bigint, text: string) {
    this.#index = index;
    this.#text = text;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  set(index: bigint, text: string): void {
    this.#index = index;
    this.#text = text;
    this.#version++;
    if (!this.deaf) this.wake();
  }

  /** Something else was written. */
  touch(index: bigint): void {
    this.#index = index;
    this.wake();
  }

  /** Answers everything that waits. */
  wake(): void {
    for (const wake of this.#wake) wake();
    this.#wake.clear();
  }

  /** Answers in another way from now on, the questions that wait too. */
  answer(answer: ((response: ServerResponse) => void) | undefined): void {
    this.#answer = answer;
    this.wake();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://agent');
    response.setHeader('content-type', 'application/json');
    if (pathname === '/v1/status/leader') return void response.end(JSON.stringify(this.leader));
    const index = searchParams.get('index') ?? undefined;
    this.asked.push(index);
    if (this.waits && index !== undefined && BigInt(index) >= this.#index)
      await new Promise<void>((resolve) => {
        this.#wake.add(resolve);
        response.on('close', resolve);
      });
    if (response.destroyed) return;
    if (this.#answer) return this.#answer(response);
    const value = Buffer.from(this.#text).toString('base64');
    response.setHeader('x-consul-index', String(this.#index));
    response.end(JSON.stringify([{ Key: 'k', Value: value, ModifyIndex: this.#version }]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function follow(agent: MadeUpAgent, options: object = {}): Promise<Following> {
  return new Following(await openConsul({ address: await agent.listen(), key: 'k', ...options }));
}

describe('the index of an agent', { concurrency: true }, () => {
  test('that goes back is begun again from nothing, and changes below the old one are seen', async () => {
    await using agent = new MadeUpAgent(1_000n, 'first');
    await using following = await follow(agent);
    await until(() => agent.asked.at(-1) === '1000');
    agent.set(500n, 'restored');
    await until(() => following.text === 'restored' && agent.asked.at(-1) === '500');
    assert.deepEqual(agent.asked, [undefined, '1000', undefined, '500']);
    agent.set(501n, 'after');
    await until(() => following.text === 'after');
    assert.deepEqual(following.failures, []);
  });

  test('of 0 is taken for 1: a question without an index would not wait', async () => {
    await using agent = new MadeUpAgent(0n, 'first');
    await using following = await follow(agent);
    await until(() => agent.asked.length === 2);
    await sleep(500);
    assert.deepEqual(agent.asked, [undefined, '1']);
    agent.set(2n, 'second');
    await until(() => following.text === 'second');
  });

  test('has 64 bits, all of which come back', async () => {
    await using agent = new MadeUpAgent(9_007_199_254_740_993n, 'first');
    await using following = await follow(agent);
    await until(() => agent.asked.length === 2);
    assert.equal(agent.asked[1], '9007199254740993');
    agent.set(9_007_199_254_740_994n, 'second');
    await until(() => following.text === 'second');
  });

  test('that comes back at once, since the agent does not wait, is not asked for in a spin', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    agent.waits = false;
    const started = performance.now();
    await using following = await follow(agent);
    await until(() => agent.asked.length > 5);
    await sleep(1_000);
    const most = (performance.now() - started) / 100 + 2;
    assert.ok(agent.asked.length <= most, `${agent.asked.length} questions, and at most ${most} are meant`);
    assert.equal(following.documents.length, 1, 'an answer is no proof of a change');
    agent.set(7n, 'second');
    await until(() => following.text === 'second');
  });

  test('that goes up without a change is no change', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    await using following = await follow(agent);
    await until(() => agent.asked.length === 2);
    agent.touch(8n);
    await until(() => agent.asked.length === 3);
    assert.deepEqual([agent.asked[2], following.documents.length], ['8', 1]);
  });

  test('that comes back before its time is not waited for again: another history has begun', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    await using following = await follow(agent);
    await until(() => agent.asked.length === 2);
    agent.wake();
    await until(() => agent.asked.length === 4);
    assert.deepEqual(agent.asked, [undefined, '7', undefined, '7']);
    assert.equal(following.documents.length, 1);
  });

  test('that goes back without a word is found all the same, within the minute', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    await using following = await follow(agent, { wait: '10m' });
    await until(() => agent.asked.length === 2);
    agent.deaf = true;
    agent.set(3n, 'restored');
    await until(() => following.text === 'restored', 60_000);
    agent.deaf = false;
    await until(() => agent.asked.at(-1) === '3');
    agent.set(4n, 'after');
    await until(() => following.text === 'after');
    assert.deepEqual(following.failures, []);
  });
});

describe('an answer', { concurrency: true }, () => {
  test('that is cut within its body is lost at once, and not at its deadline', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    await using following = await follow(agent, { wait: '10m', timeout: '30s' });
    await until(() => agent.asked.length === 2);
    agent.answer((response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '8', 'content-length': '1000' });
      response.write('[{"Key":', () => response.destroy());
    });
    await until(() => following.failures.length > 0, 15_000);
    assert.match(following.failures[0] ?? '', /the connection was lost within the answer/);
    agent.answer(undefined);
    agent.set(9n, 'second');
    await until(() => following.text === 'second');
  });

  for (const status of [200, 404])
    test(`with ${status} that has no index is not Consul's, and no missing key`, async () => {
      await using agent = new MadeUpAgent(7n, 'first');
      agent.answer((response) => response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Hello</h1>'));
      await using following = await follow(agent);
      await until(() => following.failures.length > 0);
      assert.match(following.failures[0] ?? '', /^store_error: What answers at http:.* is not Consul/);
      assert.deepEqual(following.documents, []);
    });

  test('that is no UTF-8 text is refused, and names the key', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    agent.answer((response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '8' })
        .end('[{"Key":"k","Value":"/w==","ModifyIndex":1}]'),
    );
    await using following = await follow(agent);
    await until(() => following.failures.length > 0);
    assert.match(following.failures[0] ?? '', /^invalid_entry: The value of the key "k" .* not UTF-8/);
  });

  test('of 500 says what the agent said', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    agent.answer((response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('rpc error: no luck\n'));
    await using following = await follow(agent);
    await until(() => following.failures.length > 0);
    assert.match(following.failures[0] ?? '', /^store_error: Consul at http:.* answered 500 \(rpc error: no luck\)\.$/);
  });

  test('that does not come: a cluster without a leader is found while a question waits', async () => {
    await using agent = new MadeUpAgent(7n, 'first');
    agent.leader = '';
    await using following = await follow(agent);
    await until(() => following.failures.length > 0, 30_000);
    assert.match(following.failures[0] ?? '', /^store_unreachable: .* has no leader/);
    assert.equal(following.text, 'first');
  });
});
