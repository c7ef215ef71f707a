import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, type ConnectionOptions } from '../../../core/config/connection.ts';
import type { ConfigDocument, ConfigProvider } from '../../../core/index.ts';
import { type LogLine, listLogger } from '../../support/serving.ts';
import { until } from '../../support/until.ts';
import { ScriptedSource } from '../../support/watching.ts';

const never = new AbortController().signal;
const refused = new Error('connect ECONNREFUSED 127.0.0.1:8500');

function connecting(provider: ConfigProvider, options: Partial<ConnectionOptions> = {}) {
  const lines: LogLine[] = [];
  const changes: boolean[] = [];
  const connection: Connection = new Connection({
    provider,
    source: 'memory:hector',
    logger: listLogger(lines),
    onChange: () => changes.push(connection.connected),
    ...options,
  });
  return { connection, lines, changes, messages: () => lines.map(({ level, message }) => `${level}: ${message}`) };
}

/** Follows until the block ends. */
function following(connection: Connection) {
  const stop = new AbortController();
  const documents: ConfigDocument[] = [];
  const done = (async () => {
    for await (const document of connection.follow(stop.signal)) documents.push(document);
  })();
  return {
    documents,
    texts: () => documents.map(({ text }) => text),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;

describe('to read once', () => {
  test('gives the document as it is, and ends the watch', async () => {
    const source = new ScriptedSource();
    const { connection, changes } = connecting(source);
    assert.equal(connection.connected, false);
    assert.equal((await connection.read(never, 5_000)).text, 'name: one\n');
    assert.deepEqual([source.open, connection.connected, changes], [0, true, [true]]);
    assert.ok(connection.lastContact);
  });

  test('throws what the source throws, and knows it', async () => {
    const source = new ScriptedSource();
    source.down = refused;
    const { connection, lines } = connecting(source);
    await assert.rejects(connection.read(never, 5_000), refused);
    assert.deepEqual([connection.connected, connection.error], [false, refused.message]);
    assert.deepEqual(lines, [], 'whoever asked tells it');
  });

  test('does not wait longer than it may for a source that says nothing', async () => {
    const source = new ScriptedSource();
    source.silent = true;
    const { connection } = connecting(source);
    await assert.rejects(connection.read(never, 50), /memory:hector cannot be read: no answer within 0\.05 s/);
    assert.equal(source.open, 0);
    assert.match(connection.error ?? '', /no answer/);
  });

  test('given up by whoever asked, it says nothing about the source', async () => {
    const source = new ScriptedSource();
    const { connection, changes } = connecting(source);
    await connection.read(never, 5_000);
    source.silent = true;
    const gone = new AbortController();
    const reading = connection.read(gone.signal, 60_000);
    gone.abort(new Error('the client has left'));
    await assert.rejects(reading, /the client has left/);
    assert.deepEqual([connection.connected, connection.error, changes.length], [true, undefined, 1]);
  });

  test('a provider that returns without a word has given up', async () => {
    const { connection } = connecting({ async *watch() {} });
    await assert.rejects(connection.read(never, 5_000), { code: 'config_unreadable' });
  });

  test('a provider that throws before it gives anything to wait for', async () => {
    const { connection } = connecting({
      watch() {
        throw refused;
      },
    });
    await assert.rejects(connection.read(never, 5_000), refused);
  });
});

describe('to follow', () => {
  test('gives every document, and ends with its signal', async () => {
    const source = new ScriptedSource();
    const { connection } = connecting(source);
    {
      await using followed = following(connection);
      await until(() => followed.documents.length === 1);
      source.say('name: two\n');
      await until(() => followed.texts().at(-1) === 'name: two\n');
    }
    assert.equal(source.open, 0);
  });

  test('an outage is told once for each reason, and its end once', async () => {
    const source = new ScriptedSource();
    const { connection, lines, messages, changes } = connecting(source);
    await using followed = following(connection);
    await until(() => followed.documents.length === 1);
    source.fail(refused);
    await until(() => source.watches >= 4);
    source.down = new Error('no leader');
    await until(() => connection.error === 'no leader');
    source.down = refused;
    await until(() => connection.error === refused.message);
    source.down = undefined;
    source.say('name: two\n');
    await until(() => connection.connected);
    assert.deepEqual(messages(), [
      'warn: the configuration cannot be reached: trying again',
      'warn: the configuration cannot be reached: trying again',
      'info: the configuration can be read again',
    ]);
    assert.deepEqual(
      lines.slice(0, 2).map(({ reason }) => reason),
      [refused.message, 'no leader'],
    );
    assert.equal(connection.error, undefined);
    assert.equal(changes.at(-1), true);
    await until(() => followed.texts().at(-1) === 'name: two\n');
  });

  test('a source that answers and fails, over and over, fills no log and is not asked in a spin', async () => {
    let watches = 0;
    const provider: ConfigProvider = {
      async *watch() {
        watches++;
        yield { text: '', source: 'memory:hector', revision: '1' };
        throw refused;
      },
    };
    const { connection, lines } = connecting(provider);
    await using followed = following(connection);
    const started = performance.now();
    await until(() => watches >= 4);
    assert.ok(
      performance.now() - started > 900,
      'a quarter, a half, and one second between them, at least three quarters',
    );
    assert.equal(lines.filter(({ level }) => level === 'warn').length, 1);
    assert.ok(lines.length <= 2, `${lines.length} lines`);
    assert.ok(followed.documents.length >= 3);
  });

  test('a provider that returns has lost it, and is asked again', async () => {
    let watches = 0;
    const provider: ConfigProvider = {
      async *watch(signal) {
        watches++;
        yield { text: String(watches), source: 'memory:hector', revision: String(watches) };
        if (watches > 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    };
    const { connection, lines } = connecting(provider);
    await using followed = following(connection);
    await until(() => followed.texts().join() === '1,2');
    assert.match(String(lines[0]?.['reason']), /stopped following/);
  });

  test('a source that has fallen silent is asked anew: what it has missed is seen', async () => {
    const source = new ScriptedSource();
    const { connection, lines } = connecting(source, { silenceMs: 100 });
    await using followed = following(connection);
    await until(() => followed.documents.length === 1);
    // As a watch that is dead without a word: nothing of this reaches it.
    source.document = { ...source.document, text: 'name: two\n', revision: 'r2' };
    await until(() => followed.texts().at(-1) === 'name: two\n');
    assert.equal(connection.connected, true);
    assert.deepEqual(lines, [], 'that it can be reached was never in doubt');
  });

  test('a source that takes the question and never answers is lost', async () => {
    const source = new ScriptedSource();
    source.silent = true;
    const { connection, messages } = connecting(source, { answerMs: 50 });
    await using _ = following(connection);
    await until(() => source.watches >= 2);
    assert.equal(connection.connected, false);
    assert.match(connection.error ?? '', /no answer within/);
    assert.equal(messages().length, 1);
  });

  test('a provider that does not heed its signal holds nobody up', { timeout: 20_000 }, async () => {
    let ended = false;
    const provider: ConfigProvider = {
      watch: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise<never>(() => {}),
          return: async () => {
            ended = true;
            return { done: true, value: undefined };
          },
        }),
      }),
    };
    const { connection } = connecting(provider);
    {
      await using _ = following(connection);
      await sleep(20);
    }
    await assert.rejects(connection.read(never, 20), /no answer/);
    assert.ok(ended, 'and is told to end');
  });

  test('whatever state it is in, its end leaves no timer', async () => {
    const before = timers();
    for (const state of ['connected', 'silent', 'down'] as const) {
      const source = new ScriptedSource();
      if (state === 'silent') source.silent = true;
      if (state === 'down') source.down = refused;
      const { connection } = connecting(source);
      {
        await using _ = following(connection);
        await until(() => (state === 'down' ? connection.error !== undefined : source.open === 1));
      }
      assert.equal(source.open, 0, state);
      assert.equal(timers(), before, state);
    }
  });
});
