import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writeNew } from '../../../server/commands/init/write-new.ts';
import { answer, connect, rpc, send, userMessage } from '../../support/a2a-client.ts';
import { taskIn } from '../../support/a2a-serving.ts';
import { command, serveCommand, startCommand } from '../../support/command-line.ts';
import { keys, startTerminal } from '../../support/terminal.ts';

/** What `hector init` leaves behind. */
async function written(args: readonly string[], env: Record<string, string> = {}, files: Record<string, string> = {}) {
  await using running = await startCommand(['init', ...args], { env, files });
  const code = await running.exited;
  const names = readdirSync(running.folder).sort();
  const texts = Object.fromEntries(names.map((name) => [name, readFileSync(join(running.folder, name), 'utf8')]));
  return { code, names, texts, stdout: running.stdout(), stderr: running.stderr() };
}

describe('hector init', { concurrency: 2 }, () => {
  test('in an empty folder: what it writes is valid, is served as it is, and answers', async () => {
    const { code, names, texts, stdout } = await written(['--yes']);
    assert.deepEqual([code, names], [0, ['.env.example', '.gitignore', 'config.yaml']]);
    assert.match(stdout, /for echo \(echo\).*\n\nNext:\n\n {2}hector chat --config config\.yaml\n {2}hector serve/);
    assert.equal(texts['.gitignore'], '.env\n.hector/\n');
    const checked = await command(['validate', 'config.yaml'], { files: texts as Record<string, string> });
    assert.deepEqual([checked.code, checked.stderr], [0, '']);
    await using server = await serveCommand(['--config', 'config.yaml'], { files: texts as Record<string, string> });
    assert.equal(answer(await send(await connect(server.url), 'hello')), 'hello');
  });

  test('what is served as it is written keeps its tasks and conversations over a restart, in a file beside it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-init-'));
    try {
      assert.equal((await command(['init', folder, '--yes'])).code, 0);
      const serve = () => serveCommand(['--config', join(folder, 'config.yaml')]);
      let id: string;
      {
        await using server = await serve();
        ({ id } = taskIn(
          await rpc(`${server.url}/agents/assistant`, 'SendMessage', { message: userMessage('hello') }),
        ));
      }
      assert.ok(readdirSync(join(folder, '.hector')).includes('hector.db'));
      await using server = await serve();
      const { body } = await rpc(`${server.url}/agents/assistant`, 'GetTask', { id });
      assert.equal((body.result as { id?: string } | undefined)?.id, id, JSON.stringify(body));
      const { stdout } = await command(['sessions', 'list', '--json', '-c', join(folder, 'config.yaml')]);
      assert.equal((JSON.parse(stdout) as { agent: string }).agent, 'assistant');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('everything that is commented out is valid, too', async () => {
    const env = { ANTHROPIC_API_KEY: 'k', HECTOR_API_KEY: 'secret-of-callers' };
    const { texts } = await written([], env);
    assert.match(texts['config.yaml'] ?? '', /provider: anthropic\n.*\n.*\n {4}api_key: \$\{ANTHROPIC_API_KEY\}/);
    const all = (texts['config.yaml'] ?? '').replaceAll(/^#(?=\S| {2})/gm, '');
    assert.notEqual(all, texts['config.yaml']);
    const tools = "export const t = { description: 'd', parameters: { type: 'object' }, execute: async () => 'x' };";
    const files = { 'config.yaml': all, 'tools.js': tools };
    const { code, stderr } = await command(['validate', 'config.yaml'], { env, files });
    assert.deepEqual([code, stderr], [0, '']);
    const environment = (texts['.env.example'] ?? '').replaceAll(/^#(?=\S)/gm, '');
    const read = await command(['validate', 'config.yaml'], { env, files: { ...files, '.env': environment } });
    assert.equal(read.code, 0, read.stderr);
  });

  test('what is there is left alone, all of it, unless --force says otherwise', async () => {
    const mine = { 'config.yaml': 'mine', '.gitignore': 'node_modules\n' };
    const refused = await written(['--yes'], {}, mine);
    assert.deepEqual([refused.code, refused.names], [1, ['.gitignore', 'config.yaml']]);
    assert.equal(
      refused.stderr,
      'error: config.yaml is there already, and nothing is written. --force writes over it.\n',
    );
    assert.deepEqual(refused.texts, mine);
    const forced = await written(['--yes', '--force'], {}, mine);
    assert.equal(forced.code, 0);
    assert.match(forced.texts['config.yaml'] ?? '', /provider: echo/);
    assert.equal(forced.texts['.gitignore'], 'node_modules\n');
    assert.match(forced.stderr, /\.gitignore is left as it is: add to it a line "\.env" and a line "\.hector\/"\.\n$/);
    const almost = await written(['--yes'], {}, { '.gitignore': '/.hector\n' });
    assert.match(almost.stderr, /add to it a line "\.env"\.\n$/);
    const all = await written(['--yes'], {}, { '.gitignore': '.env\r\n.hector/\r\n' });
    assert.deepEqual([all.code, all.stderr], [0, '']);
  });

  test('of two at once, one writes everything and the other nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-init-'));
    try {
      const files = (text: string) => ({ one: text, two: text });
      const results = await Promise.allSettled(
        ['a', 'b', 'c', 'd'].map((text) => writeNew(folder, files(text), { force: false })),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      const winner = 'abcd'[results.findIndex(({ status }) => status === 'fulfilled')];
      assert.deepEqual(readdirSync(folder).sort(), ['one', 'two']);
      for (const name of ['one', 'two']) assert.equal(readFileSync(join(folder, name), 'utf8'), winner);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('it asks at a terminal, until the answer is one', async () => {
    await using terminal = await startTerminal(['init', 'new/place']);
    await terminal.shows('[echo]: ');
    terminal.type(`opnai${keys.enter}`);
    await terminal.shows('Did you mean openai?');
    await terminal.shows('[echo]: ', 2);
    terminal.type(`openai${keys.enter}`);
    await terminal.shows('Model [gpt-4o]: ');
    terminal.type(`gpt: 5${keys.enter}`);
    assert.equal(await terminal.exited, 0);
    assert.match(
      terminal.screen(),
      /cp new\/place\/\.env\.example new\/place\/\.env {3}# and put OPENAI_API_KEY into it/,
    );
    const config = join(terminal.folder, 'new/place/config.yaml');
    assert.match(readFileSync(config, 'utf8'), /model: "gpt: 5"\n/);
  });

  test('who leaves amid the questions has nothing written', async () => {
    await using terminal = await startTerminal(['init', 'place']);
    await terminal.shows('[echo]: ');
    terminal.type(keys.ctrlD);
    assert.equal(await terminal.exited, 130);
    assert.match(terminal.screen(), /Nothing is written\./);
    assert.ok(!readdirSync(terminal.folder).includes('place'));
  });

  test('a provider that is not there is a mistake on the command line', async () => {
    const { code, stderr, names } = await written(['--provider', 'opnai']);
    assert.deepEqual([code, names], [2, []]);
    assert.match(stderr, /No provider is named "opnai" \(there are: .*\)\. Did you mean "openai"\?/);
  });
});
