import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { command, startCommand } from '../support/command-line.ts';

const broken = 'llms: { gpt: { provider: echo } }\nagents: { writer: { llm: gtp } }\n';

describe('the command line', { concurrency: 2 }, () => {
  for (const args of [['version'], ['-v'], ['--help']]) {
    test(`hector ${args.join(' ')} is answered on standard output, exit 0`, async () => {
      const { code, stdout, stderr } = await command(args);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /2\.0\.0|Usage: hector/);
    });
  }

  const wrong: readonly (readonly [args: string[], says: RegExp])[] = [
    [[], /Usage: hector/],
    [['srve'], /unknown command 'srve'\n\(Did you mean serve\?\)/],
    [['serve', '--prot', '1'], /unknown option '--prot'\n\(Did you mean --port\?\)/],
    [['serve', '--port', 'abc'], /'--port <number>' argument 'abc' is invalid.*0 to 65535/],
    [['serve', '--temperature', '3'], /0 to 2/],
    [['serve', '--log-level', 'loud'], /Allowed choices are debug, info/],
    [['validate'], /missing required argument 'file'/],
  ];
  for (const [args, says] of wrong) {
    test(`hector ${args.join(' ')} is a mistake on the command line, exit 2`, async () => {
      const { code, stdout, stderr } = await command(args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, says);
    });
  }

  test('serve --help states the order of precedence', async () => {
    const { stdout } = await command(['serve', '--help']);
    assert.match(stdout, /the first wins: flags, environment variables .*, the file, defaults/);
  });

  test('a file that is named must be there, and is not made', async () => {
    for (const args of [
      ['serve', '--config', 'none.yaml'],
      ['validate', 'none.yaml'],
    ]) {
      const { code, stderr } = await command(args);
      assert.equal(code, 1);
      assert.match(stderr, /^error: The configuration file .*none\.yaml cannot be read: there is no such file\.\n$/);
    }
  });

  test('flags that could mean several LLMs are a mistake on the command line', async () => {
    const files = { '.hector/config.yaml': 'llms: {a: {provider: echo}, b: {provider: echo}}' };
    const { code, stderr } = await command(['serve', '--model', 'm'], { files });
    assert.equal(code, 2);
    assert.match(stderr, /Which of the LLMs a, b do the flags mean\?/);
  });

  test('a value from the environment that the schema refuses says where it came from', async () => {
    const { code, stderr } = await command(['serve'], { env: { LOG_LEVEL: 'loud' } });
    assert.equal(code, 1);
    assert.match(stderr, /^LOG_LEVEL logger\.level: /);
  });

  test('validate of a wrong file: the report on standard error, without colours in a pipe, exit 1', async () => {
    const { code, stdout, stderr } = await command(['validate', 'hector.yaml'], { files: { 'hector.yaml': broken } });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /agents\.writer\.llm: .*Did you mean "gpt"\?/);
    assert.ok(!stderr.includes('\u001b'));
  });

  test('no command writes a file', async () => {
    await using running = await startCommand(['info']);
    assert.equal(await running.exited, 0);
    assert.deepEqual(readdirSync(running.folder), []);
  });
});
