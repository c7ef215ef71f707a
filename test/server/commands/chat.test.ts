import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { AgentEvent } from '../../../core/index.ts';
import { endless, parrot, servingAgents } from '../../support/a2a-serving.ts';
import { command, startCommand } from '../../support/command-line.ts';
import { until } from '../../support/until.ts';

const config = `
llms: { default: { provider: echo } }
tools: { shop: { type: function, handler: ./shop.js } }
agents:
  assistant: { tools: [shop] }
  hidden: { visibility: private, tools: [] }
  off: { enabled: false }
`;
const shop = `export const price = {
  description: 'What a thing costs',
  parameters: { type: 'object', properties: { item: { type: 'string' } } },
  execute: async ({ item }) => '12 for ' + item,
};`;
const files = { '.hector/config.yaml': config, '.hector/shop.js': shop };
const file = { files };

/** Through a shell, so that there are real pipes. */
async function piped(line: string, args: readonly string[]) {
  const cli = join(import.meta.dirname, '../../../server/cli.ts');
  const hector = [process.execPath, '--import', import.meta.resolve('tsx'), cli, ...args].map((each) => `'${each}'`);
  const script = line.replace('HECTOR', hector.join(' '));
  const shell = spawn('bash', ['-c', script], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  shell.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(shell, 'close');
  return { code: code as number, stdout, stderr };
}

const says = (...events: AgentEvent[]) =>
  async function* run(): AsyncGenerator<AgentEvent> {
    yield* events;
  };

describe('hector chat with one message', { concurrency: 2 }, () => {
  test('an agent of a file: standard output has the answer and nothing else, tool calls are told beside it', async () => {
    const { code, stdout, stderr } = await command(['chat', '-m', 'call price {"item": "tea"}'], file);
    assert.deepEqual([code, stdout], [0, '12 for tea\n'], stderr);
    assert.equal(stderr, '→ price(item: "tea")\n← price: 12 for tea\n');
  });

  test('a private agent of a file can be talked to; one that is off, or not there, is told by name', async () => {
    assert.equal((await command(['chat', 'hidden', '-m', 'hi'], file)).stdout, 'hi\n');
    const off = await command(['chat', 'off', '-m', 'hi'], file);
    assert.deepEqual(
      [off.code, off.stderr],
      [1, 'error: The agent "off" is switched off: agents.off.enabled is false.\n'],
    );
    const other = await command(['chat', 'hiden', '-m', 'hi'], file);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /No agent is named "hiden" \(defined: assistant, hidden\)\. Did you mean "hidden"\?/);
  });

  test('the runtime of a file lets nobody else in, and is gone afterwards', async () => {
    const slow = config.replace('provider: echo', 'provider: echo, delay: 200ms');
    await using running = await startCommand(['chat', '-m', 'word '.repeat(100)], {
      files: { ...files, '.hector/config.yaml': slow },
    });
    await until(() => running.stdout() !== '', 60_000);
    const addresses = listening(running.process.pid ?? 0);
    assert.equal(addresses.length, 1);
    const [address = ''] = addresses;
    assert.match(address, /^127\.0\.0\.1:/);
    const { status: refused } = await fetch(`http://${address}/agents/assistant`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: '{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{}}',
    });
    assert.equal(refused, 401);
    running.process.kill('SIGINT');
    assert.equal(await running.exited, 130);
    await assert.rejects(fetch(`http://${address}/health/live`));
  });

  test('a text on standard input is the message; none is a mistake on the command line', async () => {
    await using server = await servingAgents({ agents: { echo: { run: parrot } } });
    const { code, stdout } = await piped("printf 'one\\ntwo\\n' | HECTOR", ['chat', server.url]);
    assert.deepEqual([code, stdout], [0, 'one\ntwo\n']);
    const none = await piped('HECTOR < /dev/null', ['chat', server.url]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /There is nothing to send: give --message, or a text on standard input\./);
  });

  test('a reader that leaves ends it quietly, and the task with it', async () => {
    let aborted = false;
    await using server = await servingAgents({
      agents: {
        tireless: {
          async *run(_message, { signal }) {
            signal.addEventListener('abort', () => {
              aborted = true;
            });
            while (!signal.aborted) {
              yield { type: 'text', delta: 'and so on\n' };
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
            signal.throwIfAborted();
          },
        },
      },
    });
    const line = 'HECTOR | head -1; echo "${PIPESTATUS[0]}"';
    const { stdout, stderr } = await piped(line, ['chat', server.url, '-m', 'go']);
    assert.deepEqual([stdout, stderr], ['and so on\n0\n', '']);
    await until(() => aborted);
  });

  test('a task that fails is exit code 1 with its reason on standard error', async () => {
    const run = async function* run(): AsyncGenerator<AgentEvent> {
      yield { type: 'text', delta: 'so far' };
      throw new Error('the shelf is empty');
    };
    await using server = await servingAgents({ agents: { clerk: { run } } });
    const { code, stdout, stderr } = await command(['chat', server.url, '-m', 'hi']);
    assert.deepEqual([code, stdout], [1, 'so far\n']);
    assert.match(stderr, /^error: The agent clerk failed: .*\n$/);
  });

  test('nothing that an agent says reaches the terminal as a command to it', async () => {
    const evil = 'a\u001b]0;title\u0007b\u009b31mc\u007f\td\r\n';
    const data = { tool_result: { id: '1', name: 'x\u001b[2J', is_error: true, text: '\u001b[31mno' } };
    await using server = await servingAgents({
      agents: {
        evil: {
          run: says({ type: 'status', parts: [{ data }, { text: 'now\u001b[1A' }] }, { type: 'text', delta: evil }),
        },
      },
    });
    const { stdout, stderr } = await command(['chat', server.url, '-m', 'hi']);
    assert.equal(stdout, 'a\u241b]0;title\u2407b\ufffd31mc\u2421\td\n');
    assert.equal(stderr, '← x\u241b[2J failed: \u241b[31mno\n· now\u241b[1A\n');
    const asJson = await command(['chat', server.url, '-m', 'hi', '--json']);
    assert.doesNotMatch(asJson.stdout.replaceAll('\n', ''), /\p{Cc}/u);
    assert.ok(asJson.stdout.includes('\\u009b31m'));
  });

  test('--json: every event is a line', async () => {
    await using server = await servingAgents({ agents: { echo: { run: parrot } } });
    const { code, stdout, stderr } = await command(['chat', server.url, '-m', 'two words', '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, { status?: { state: string } }>);
    assert.ok(events[0]?.['task']);
    assert.equal(events.at(-1)?.['statusUpdate']?.status?.state, 'TASK_STATE_COMPLETED');
  });

  test('files are named, and kept on demand: under their own name, within the folder, over nothing', async () => {
    const raw = Buffer.from('content').toString('base64');
    const parts = [
      { raw, filename: '../../escape.txt', mediaType: 'text/plain' },
      { raw, filename: 'escape.txt' },
      { url: 'https://files.example/x.pdf', filename: 'x.pdf', mediaType: 'application/pdf' },
      { data: { sum: 3 }, mediaType: 'application/json' },
    ];
    await using server = await servingAgents({
      agents: { clerk: { run: says({ type: 'artifact', artifact: { artifactId: 'a', parts } }) } },
    });
    await using running = await startCommand(['chat', server.url, '-m', 'x', '--save-files', 'kept']);
    assert.equal(await running.exited, 0);
    assert.equal(running.stdout(), '{\n  "sum": 3\n}\n');
    assert.equal(
      running.stderr(),
      [
        '[file ../../escape.txt (text/plain, 7 B)] saved as kept/escape.txt',
        '[file escape.txt (7 B)] saved as kept/escape-1.txt',
        '[file x.pdf (application/pdf) at https://files.example/x.pdf]',
        '[data (application/json, 9 B)]',
        '',
      ].join('\n'),
    );
    assert.equal(readFileSync(join(running.folder, 'kept/escape-1.txt'), 'utf8'), 'content');
  });

  test('a task that waits: exit code 1, and how to answer it, which works', async () => {
    await using server = await servingAgents({
      agents: {
        clerk: {
          async *run(message, context) {
            const first = context.task.history.length <= 1;
            if (first) yield { type: 'input_required', parts: [{ text: 'Which size?' }] };
            else yield { type: 'text', delta: `size ${'text' in (message.parts[0] ?? {}) ? 'taken' : '?'}` };
          },
        },
      },
    });
    const asked = await command(['chat', server.url, '-m', 'a shirt']);
    assert.deepEqual([asked.code, asked.stdout], [1, 'Which size?\n']);
    const [, context = '', id = ''] = /--context (\S+) --task (\S+) --message …\n$/.exec(asked.stderr) ?? [];
    const answered = await command(['chat', server.url, '--context', context, '--task', id, '-m', 'XL']);
    assert.deepEqual([answered.code, answered.stdout, answered.stderr], [0, 'size taken\n', '']);
  });

  for (const how of ['--timeout', 'SIGINT'] as const) {
    test(`${how} cancels the task`, async () => {
      let aborted = false;
      await using server = await servingAgents({
        agents: {
          slow: {
            async *run(message, context) {
              context.signal.addEventListener('abort', () => {
                aborted = true;
              });
              yield* endless(message, context);
            },
          },
        },
      });
      const args = ['chat', server.url, '-m', 'x', ...(how === '--timeout' ? ['--timeout', '300ms'] : [])];
      await using running = await startCommand(args);
      await until(() => running.stdout() !== '', 60_000);
      if (how === 'SIGINT') running.process.kill('SIGINT');
      assert.equal(await running.exited, how === 'SIGINT' ? 130 : 1);
      assert.ok(aborted);
      assert.equal(
        running.stderr(),
        how === 'SIGINT'
          ? 'Canceled.\n'
          : 'error: There was no answer in time (--timeout), and the task is canceled.\n',
      );
    });
  }
});

/** Where a process listens, of all that its network namespace has. */
function listening(pid: number): string[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      if (state !== '0A' || !own.has(inode)) return [];
      const [ip = '', port = ''] = local.split(':');
      const bytes = ip.match(/../g)?.reverse() ?? [];
      return [`${bytes.map((each) => Number.parseInt(each, 16)).join('.')}:${Number.parseInt(port, 16)}`];
    });
}
