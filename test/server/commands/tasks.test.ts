import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { far, json, legacyCard } from '../../plugins/agents/remote/far-side.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { endless, parrot, servingAgents, taskIn } from '../../support/a2a-serving.ts';
import { command } from '../../support/command-line.ts';

describe('hector tasks', { concurrency: 2 }, () => {
  test('list, get and cancel', async () => {
    await using server = await servingAgents({ agents: { echo: { run: parrot }, worker: { run: endless } } });
    const say = async (agent: string, text: string, contextId: string, configuration = {}) => {
      const params = { message: userMessage(text, { contextId }), configuration };
      return taskIn(await rpc(`${server.url}/agents/${agent}`, 'SendMessage', params, { version: '1.0' }));
    };
    const first = await say('echo', 'the first\u001b[2J of them', 'talk-1');
    const second = await say('echo', 'the second', 'talk-2');
    const running = await say('worker', 'go', 'talk-3', { returnImmediately: true });
    const at = ['--url', server.url];

    const list = await command(['tasks', 'list', ...at]);
    assert.equal(list.code, 0, list.stderr);
    const [header, ...rows] = list.stdout.trimEnd().split('\n');
    assert.match(header ?? '', /^ID +STATE +CONTEXT +AGE +TEXT$/);
    assert.deepEqual(rows.map((row) => row.split(/ {2,}/)[0]).sort(), [first.id, second.id].sort());
    assert.ok(list.stdout.includes('the first\u241b[2J of them'));

    const ofOne = await command(['tasks', 'list', ...at, '--context', 'talk-1', '--json']);
    assert.deepEqual(
      ofOne.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: string }).id),
      [first.id],
    );
    const none = await command(['tasks', 'list', ...at, '--state', 'failed']);
    assert.deepEqual([none.code, none.stdout, none.stderr], [0, '', 'There are no such tasks.\n']);
    const limited = await command(['tasks', 'list', ...at, '--limit', '1']);
    assert.equal(limited.stdout.trimEnd().split('\n').length, 2);
    assert.match(limited.stderr, /--limit shows more/);

    const got = await command(['tasks', 'get', first.id, ...at]);
    assert.equal(got.code, 0);
    assert.match(got.stdout, new RegExp(`^Task {5}${first.id}\nContext  talk-1\nState {4}completed\n`));
    assert.match(got.stdout, /User\n {2}the first\u241b\[2J of them\n/);
    assert.match(got.stdout, /Artifact response\n {2}the first/);

    const canceled = await command(['tasks', 'cancel', running.id, ...at, '--agent', 'worker']);
    assert.deepEqual([canceled.code, canceled.stdout], [0, `The task ${running.id} is canceled.\n`]);
    const again = await command(['tasks', 'cancel', running.id, ...at, '--agent', 'worker']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^error: The agent worker at http\S+ answers: /);
    const unknown = await command(['tasks', 'get', 'nothing', ...at]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /^error: The agent echo at http\S+ answers: .*nothing/);
  });

  test('more tasks than a server gives at once are asked for page by page, and no longer than it gives any', async () => {
    const sizes: unknown[] = [];
    await using server = await far(({ method, id, params }, response, url) => {
      const supportedInterfaces = [{ url: `${url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }];
      if (method === 'GET') return json(response, { name: 'many', supportedInterfaces, capabilities: {}, skills: [] });
      sizes.push([params['pageSize'], params['pageToken'] ?? '']);
      const start = Number(params['pageToken'] ?? 0);
      const tasks = Array.from({ length: start < 200 ? 100 : 0 }, (_, index) => ({
        id: `t${start + index}`,
        contextId: 'c',
        status: { state: 'TASK_STATE_COMPLETED' },
      }));
      json(response, {
        jsonrpc: '2.0',
        id,
        result: { tasks, nextPageToken: `${start + 100}`, pageSize: 100, totalSize: 900 },
      });
    });
    const { code, stdout } = await command(['tasks', 'list', '--url', server.url, '--limit', '350', '--json']);
    assert.equal(code, 0);
    assert.equal(stdout.trimEnd().split('\n').length, 200);
    assert.deepEqual(sizes, [
      [100, ''],
      [100, '100'],
      [100, '200'],
    ]);
  });

  test('0.3 has no list, which is said; what cannot be is a mistake on the command line', async () => {
    await using server = await far((_seen, response, url) => json(response, legacyCard(url)));
    const list = await command(['tasks', 'list', '--url', server.url]);
    assert.equal(list.code, 1);
    assert.match(list.stderr, /speaks A2A 0\.3, which cannot list tasks: that came with 1\.0/);
    const state = await command(['tasks', 'list', '--url', server.url, '--state', 'sleeping']);
    assert.equal(state.code, 2);
    assert.match(state.stderr, /It must be one of submitted, working, /);
    assert.equal((await command(['tasks', 'get', 'x'])).code, 2);
  });
});
