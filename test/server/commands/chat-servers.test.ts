import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent } from '@a2a-js/sdk';
import type { AgentExecutionEvent } from '@a2a-js/sdk/server';
import type { AgentEvent } from '../../../core/index.ts';
import {
  artifact,
  card,
  far,
  json,
  legacyCard,
  officialServer,
  status,
  streaming,
  talking,
  task,
} from '../../plugins/agents/remote/far-side.ts';
import { parrot, servingAgents } from '../../support/a2a-serving.ts';
import { command } from '../../support/command-line.ts';

const says = (...events: AgentEvent[]) =>
  async function* run(): AsyncGenerator<AgentEvent> {
    yield* events;
  };

describe('hector chat and other servers', { concurrency: 2 }, () => {
  for (const version of ['1.0', '0.3'] as const) {
    test(`the official server of A2A ${version}, at each of its addresses`, async () => {
      await using server = await officialServer(
        {
          async execute({ taskId, contextId, userMessage }, bus) {
            const [part] = userMessage.parts;
            const text = part?.content?.$case === 'text' ? part.content.value : '';
            bus.publish(event('task', { id: taskId, contextId, status: { state: 'TASK_STATE_WORKING' } }));
            for (const [index, each] of text.split(' ').entries()) {
              const one = { artifactId: 'a', parts: [{ text: `${each} ` }] };
              bus.publish(event('artifactUpdate', { taskId, contextId, artifact: one, append: index > 0 }));
            }
            bus.publish(event('statusUpdate', { taskId, contextId, status: { state: 'TASK_STATE_COMPLETED' } }));
            bus.finished();
          },
          async cancelTask() {},
        },
        version,
      );
      for (const path of ['', '/rpc', '/.well-known/agent-card.json']) {
        const { code, stdout, stderr } = await command(['chat', `${server.url}${path}`, '-m', 'one two three']);
        assert.deepEqual([code, stdout, stderr], [0, 'one two three \n', '']);
      }
      const methods = new Set(server.requests.flatMap(({ rpc }) => rpc ?? []));
      assert.deepEqual([...methods], [version === '1.0' ? 'SendStreamingMessage' : 'message/stream']);
    });
  }

  test('an agent that is only there over HTTP+JSON', async () => {
    await using server = await servingAgents({ agents: { echo: { run: parrot } } });
    await using place = await far((_seen, response) => {
      const url = `${server.url}/agents/echo`;
      json(
        response,
        card(url, { supportedInterfaces: [{ url, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' }] }),
      );
    });
    const { code, stdout, stderr } = await command(['chat', place.url, '-m', 'one two']);
    assert.deepEqual([code, stdout, stderr], [0, 'one two\n', '']);
    const listed = await command(['tasks', 'list', '--url', place.url, '--state', 'completed']);
    assert.match(listed.stdout, /completed .*one two\n$/);
  });

  test('an agent that answers with a message alone', async () => {
    await using server = await talking(
      ({ id }, response) =>
        json(response, {
          jsonrpc: '2.0',
          id,
          result: { message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'hello' }] } },
        }),
      { capabilities: {} },
    );
    const { code, stdout } = await command(['chat', server.url, '-m', 'hi']);
    assert.deepEqual([code, stdout], [0, 'hello\n']);
  });

  test('an agent that does not stream is asked for its task until that has ended; what it says twice is shown once', async () => {
    let asked = 0;
    await using server = await talking(
      ({ id, rpc }, response) => {
        const working = task('WORKING', { artifacts: [{ artifactId: 'a', parts: [{ text: 'half ' }] }] });
        const done = {
          id: 't1',
          contextId: 'c',
          status: {
            state: 'TASK_STATE_COMPLETED',
            message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'half and half' }] },
          },
          artifacts: [{ artifactId: 'a', parts: [{ text: 'half and half' }] }],
        };
        if (rpc === 'GetTask') asked++;
        json(response, {
          jsonrpc: '2.0',
          id,
          result: rpc === 'SendMessage' ? working : asked > 1 ? done : working.task,
        });
      },
      { capabilities: { streaming: false } },
    );
    const { code, stdout, stderr } = await command(['chat', server.url, '-m', 'hi']);
    assert.deepEqual([code, stdout, stderr], [0, 'half and half\n', '']);
    const [sent] = server.requests.filter(({ rpc }) => rpc === 'SendMessage');
    assert.deepEqual(sent?.params['configuration'], { returnImmediately: true });
  });

  test('a stream that breaks off is taken up again, and nothing is shown twice', async () => {
    await using server = await talking(async ({ id, rpc }, response) => {
      const stream = streaming(response, id);
      if (rpc === 'SendStreamingMessage') {
        stream.event(task('WORKING'));
        stream.event(artifact([{ text: 'one ' }]));
        await new Promise((resolve) => setTimeout(resolve, 50));
        return stream.cut();
      }
      stream.event(task('WORKING', { artifacts: [{ artifactId: 'a1', parts: [{ text: 'one two ' }] }] }));
      stream.event(artifact([{ text: 'three' }], {}, true));
      stream.event(status('COMPLETED'));
      stream.end();
    });
    const { code, stdout, stderr } = await command(['chat', server.url, '-m', 'hi']);
    assert.deepEqual([code, stdout], [0, 'one two three\n'], stderr);
    assert.equal(stderr, '· the connection was cut; taking it up again\n');
    assert.deepEqual(
      server.requests.flatMap(({ rpc }) => rpc ?? []),
      ['SendStreamingMessage', 'SubscribeToTask'],
    );
  });

  test('a stream that breaks off for good is said to have, with the way to the task', async () => {
    await using server = await talking(async ({ id }, response) => {
      const stream = streaming(response, id);
      stream.event(task('WORKING'));
      await new Promise((resolve) => setTimeout(resolve, 50));
      stream.cut();
    });
    const { code, stderr } = await command(['chat', server.url, '-m', 'hi']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /error: The answer broke off and could not be taken up again: .*hector tasks get t1 --url http/,
    );
    assert.equal(server.requests.filter(({ rpc }) => rpc === 'SubscribeToTask').length, 1, 'it is tried once');
  });

  test('credentials: from the environment, a file, headers; for the server that was named and no other', async () => {
    await using elsewhere = await far(({ id }, response) =>
      json(response, { jsonrpc: '2.0', id, error: { code: -32603, message: 'no' } }),
    );
    await using server = await far(({ method, headers, id }, response, url) => {
      if (method === 'GET' && headers['x-elsewhere']) return json(response, card(`${elsewhere.url}/rpc`));
      if (method === 'GET') return json(response, card(`${url}/rpc`, { capabilities: {} }));
      if (headers.authorization !== 'Bearer secret') return json(response, {}, 401);
      json(response, {
        jsonrpc: '2.0',
        id,
        result: { message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: headers['x-more'] ?? 'in' }] } },
      });
    });
    const ask = ['chat', server.url, '-m', 'hi'];
    const none = await command(ask);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /rpc wants credentials \(401\)\. Give a token in HECTOR_TOKEN or with --token-file/);
    const wrong = await command([...ask, '--token', 'guess']);
    assert.match(wrong.stderr, /does not accept the credentials \(401\)/);
    assert.ok(!wrong.stderr.includes('guess'));
    assert.equal((await command(ask, { env: { HECTOR_TOKEN: 'secret' } })).stdout, 'in\n');
    const kept = await command([...ask, '--token-file', 'token', '--header', 'X-More: yes'], {
      files: { token: 'secret\n' },
    });
    assert.equal(kept.stdout, 'yes\n');

    await command([...ask, '--token', 'secret', '--header', 'X-Elsewhere: 1']);
    assert.ok(elsewhere.requests.length > 0);
    for (const { headers } of elsewhere.requests) {
      assert.equal(headers.authorization, undefined);
      assert.equal(headers['x-elsewhere'], undefined);
    }
  });

  test('several agents of a Hector: --agent chooses, and what is not there is told with what is', async () => {
    await using server = await servingAgents({
      agents: {
        one: { run: says({ type: 'text', delta: 'I am one' }) },
        two: { run: says({ type: 'text', delta: 'I am two' }) },
      },
    });
    assert.equal((await command(['chat', server.url, '-m', 'x'])).stdout, 'I am one\n');
    assert.equal((await command(['chat', server.url, '--agent', 'two', '-m', 'x'])).stdout, 'I am two\n');
    assert.equal((await command(['chat', `${server.url}/agents/two`, '-m', 'x'])).stdout, 'I am two\n');
    const { code, stderr } = await command(['chat', server.url, '--agent', 'tow', '-m', 'x']);
    assert.equal(code, 1);
    assert.match(stderr, /has no agent "tow" \(there are: one, two\)\. Did you mean "two"\?/);
  });

  test('what is no A2A server, none at all, or speaks another binding is told', async () => {
    await using web = await far((_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<html>');
    });
    const page = await command(['chat', `${web.url}/x`, '-m', 'x']);
    assert.equal(page.code, 1);
    assert.match(
      page.stderr,
      /\/x does not speak A2A: there is no agent card at http:.*\/x\/\.well-known\/agent-card\.json, /,
    );
    const gone = web.url;
    await web.close();
    const nothing = await command(['chat', gone, '-m', 'x']);
    assert.equal(nothing.code, 1);
    assert.match(nothing.stderr, /cannot be reached: nothing listens there \(ECONNREFUSED\)\. Check the address/);
    await using grpc = await far((_seen, response, url) =>
      json(response, legacyCard(url, { preferredTransport: 'GRPC', name: 'g\u001b[2J' })),
    );
    const other = await command(['chat', grpc.url, '-m', 'x']);
    assert.match(other.stderr, /The agent g\u241b\[2J cannot be talked to from here: its card offers GRPC/);
  });

  const wrong: readonly (readonly [args: string[], says: RegExp])[] = [
    [['localhost:8080', '-m', 'x'], /"localhost:8080" is not an address: it begins with http/],
    [['writer', '--token', 'x', '-m', 'x'], /--token is for talking to a server/],
    [['http://localhost:1', '-c', 'x.yaml', '-m', 'x'], /--config is for talking to an agent of a file/],
    [['http://localhost:1', '--header', 'nothing', '-m', 'x'], /--header takes a name and a value/],
    [['http://user:pw@localhost:1', '-m', 'x'], /A password in an address is not sent/],
    [['--timeout', 'soon'], /It must be a duration/],
  ];
  for (const [args, says] of wrong) {
    test(`hector chat ${args.join(' ')} is a mistake on the command line`, async () => {
      const { code, stdout, stderr } = await command(['chat', ...args]);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, says);
    });
  }
});

function event(kind: 'task' | 'statusUpdate' | 'artifactUpdate', value: object): AgentExecutionEvent {
  return { kind, data: codecs[kind].fromJSON(value) } as AgentExecutionEvent;
}

const codecs = { task: Task, statusUpdate: TaskStatusUpdateEvent, artifactUpdate: TaskArtifactUpdateEvent };
