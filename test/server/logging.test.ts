import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secrets } from '../../core/config/secrets.ts';
import { HectorError } from '../../core/errors.ts';
import { type Logging, type LoggingOptions, openLogging } from '../../server/logging.ts';

/** What is in the file after these lines were logged. */
async function logged(options: Omit<LoggingOptions, 'file'>, write: (logging: Logging) => void): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-log-'));
  const file = join(folder, 'deep', 'er', 'hector.log');
  try {
    {
      await using logging = openLogging({ ...options, file });
      write(logging);
    }
    return await readFile(file, 'utf8');
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('json: one object a line, level as a word, ISO time', async () => {
  const text = await logged({ level: 'info', format: 'json' }, ({ logger }) => {
    logger.child({ requestId: 'r1' }).info({ status: 200, ok: true }, 'request');
    logger.debug({}, 'not at this level');
  });
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, 1);
  assert.match(lines[0].time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  delete lines[0].time;
  assert.deepEqual(lines[0], { level: 'info', requestId: 'r1', status: 200, ok: true, msg: 'request' });
});

test('an error that is written as a text stays one', async () => {
  const text = await logged({ level: 'info', format: 'json' }, ({ logger }) => {
    logger.warn({ error: 'Error: no\n    at shop.js:1' }, 'failed');
    logger.warn({ error: new Error('no') }, 'failed');
  });
  const [first, second] = text.trim().split('\n');
  assert.equal(JSON.parse(first ?? '').error, 'Error: no\n    at shop.js:1');
  assert.equal(JSON.parse(second ?? '').error.message, 'no');
});

test('simple: level, message, key=value; what has blanks or line breaks is quoted', async () => {
  const text = await logged({ level: 'debug', format: 'simple' }, ({ logger }) => {
    logger.info(
      { path: '/agents/a', ms: 1.5, note: 'two words', forged: 'x\nERROR gotcha', list: [1, 'a'] },
      'request',
    );
    logger.warn({}, 'careful');
  });
  assert.equal(
    text,
    'INFO  request path=/agents/a ms=1.5 note="two words" forged="x\\nERROR gotcha" list=[1,"a"]\nWARN  careful\n',
  );
});

test('verbose: with the time, without colours where it is no terminal', async () => {
  const text = await logged({ level: 'info', format: 'verbose' }, ({ logger }) => logger.error({ a: 1 }, 'bad'));
  assert.match(text, /^\d{4}-\d\d-\d\dT[\d:.]+Z ERROR bad a=1\n$/);
});

test('"warning" is warn; a level hides what is below it', async () => {
  const text = await logged({ level: 'warning', format: 'simple' }, ({ logger }) => {
    logger.info({}, 'hidden');
    logger.warn({}, 'shown');
  });
  assert.equal(text, 'WARN  shown\n');
});

test('an error is its type, message, code, stack and causes, and nothing that an SDK hung on it', async () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const error = Object.assign(new TypeError('fetch failed', { cause }), {
    headers: { authorization: 'Bearer canary-header' },
    request: { body: 'canary-prompt' },
    status: 502,
  });
  const json = await logged({ level: 'info', format: 'json' }, ({ logger }) => logger.error({ err: error }, 'failed'));
  const { err } = JSON.parse(json);
  assert.deepEqual(Object.keys(err).sort(), ['cause', 'message', 'stack', 'status', 'type']);
  assert.deepEqual([err.type, err.message, err.cause.code], ['TypeError', 'fetch failed', 'ECONNREFUSED']);
  const simple = await logged({ level: 'info', format: 'simple' }, ({ logger }) => {
    logger.error({ err: error }, 'failed');
    logger.error({ err: new HectorError('x', 'Foreseen.') }, 'failed');
  });
  assert.match(simple, /^ERROR failed err="TypeError: fetch failed: connect ECONNREFUSED"\n {6}at /);
  assert.match(simple, /ERROR failed err=Foreseen\.\n$/);
  assert.doesNotMatch(json + simple, /canary/);
});

test('an error that is its own cause, and one with a hundred causes, are logged all the same', async () => {
  const loop = new Error('loop');
  loop.cause = loop;
  const many = new AggregateError(
    Array.from({ length: 100 }, (_, i) => new Error(`n${i}`)),
    'many',
  );
  const text = await logged({ level: 'info', format: 'json' }, ({ logger }) => {
    logger.error({ err: loop }, 'failed');
    logger.error({ err: many }, 'failed');
    logger.error({ err: 'a string' }, 'failed');
  });
  assert.equal(text.trim().split('\n').length, 3);
  assert.ok(text.length < 100_000);
});

test('secrets are on no line: in messages, fields, errors, escaped, or as a number', async () => {
  const secrets = new Secrets(['sk-canary-1', 'pass"word\\2', '987654321', 'line1\nline2']);
  for (const format of ['json', 'simple', 'verbose'] as const) {
    const text = await logged({ level: 'debug', format, secrets }, ({ logger }) => {
      logger.info({ url: 'https://x/?key=sk-canary-1', nested: { deep: ['pass"word\\2'] } }, 'message sk-canary-1');
      logger.error({ err: new Error('401 for sk-canary-1: pass"word\\2 line1\nline2') }, 'failed');
      logger.child({ key: 'sk-canary-1' }).warn({ 'sk-canary-1': 1 }, 'child');
      logger.info({ port: 987654321, list: [987654321, 1] }, 'number');
    });
    assert.doesNotMatch(text, /canary|word|987654321|line1/, format);
    assert.match(text, /\*\*\*/);
    if (format === 'json') for (const line of text.trim().split('\n')) JSON.parse(line);
  }
});

test('secrets that come later are scrubbed from the next line on, children made before included', async () => {
  const text = await logged({ level: 'info', format: 'simple' }, ({ logger, setSecrets }) => {
    const child = logger.child({ key: 'sk-canary-1' });
    setSecrets(new Secrets(['sk-canary-1']));
    child.info({}, 'sk-canary-1');
  });
  assert.equal(text, 'INFO  *** key=***\n');
});

test('another level holds from the next line on, for children made before, too', async () => {
  const text = await logged({ level: 'info', format: 'json' }, ({ logger, setLevel }) => {
    const child = logger.child({ agent: 'a' });
    child.debug({}, 'one');
    setLevel('debug');
    child.debug({}, 'two');
    setLevel('error');
    child.warn({}, 'three');
    child.error({}, 'four');
  });
  assert.deepEqual(text.match(/"msg":"\w+"/g), ['"msg":"two"', '"msg":"four"']);
});

test('lines are appended; a file that cannot be written is one sentence', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-log-'));
  const file = join(folder, 'hector.log');
  for (const message of ['first', 'second']) {
    await using logging = openLogging({ level: 'info', format: 'simple', file });
    logging.logger.info({}, message);
  }
  assert.equal(await readFile(file, 'utf8'), 'INFO  first\nINFO  second\n');
  assert.throws(
    () => openLogging({ level: 'info', format: 'simple', file: join(file, 'below') }),
    /log file .* cannot be written \(E\w+\)\. Choose another with --log-file/,
  );
  await rm(folder, { recursive: true });
});

test('a crash loses no line', async () => {
  const { stderr } = await script(`
    logging.logger.info({}, 'last words');
    logging.flushSync();
    process.exit(3);`);
  assert.match(stderr, /INFO {2}last words\n$/);
});

test('nobody reading standard error is no reason to end', async () => {
  const child = start(`
    process.stdout.write('ready');
    process.stdin.resume().on('end', async () => {
      for (let i = 0; i < 50; i++) { logging.logger.info({ i }, 'into the void'); await new Promise((r) => setTimeout(r, 2)); }
      await logging[Symbol.asyncDispose]();
      process.exit(0);
    });`);
  await once(child.stdout, 'data');
  child.stderr.destroy();
  child.stdin.end();
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
});

function start(body: string) {
  const source = `import { openLogging } from './server/logging.ts';
    const logging = openLogging({ level: 'info', format: 'simple' });
    ${body}`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
    cwd: join(import.meta.dirname, '../..'),
  });
}

async function script(body: string): Promise<{ stderr: string }> {
  const child = start(body);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child, 'close');
  return { stderr };
}
