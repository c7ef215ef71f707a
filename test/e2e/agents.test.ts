import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Task } from '../../core/a2a.ts';
import { toolCallsExtension } from '../../core/index.ts';
import { answer, connect, rpc, send, stream, userMessage } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import { cleanEnvironment, type Hector, startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const cli = join(import.meta.dirname, '../../dist/server/cli.js');

const member = () => readFile(join(import.meta.dirname, '../support/member-plugin.mjs'), 'utf8');

const config = (tag = 'old', far = 'http://127.0.0.1:9') => `
version: "2"
plugins: [./member-plugin.mjs]
llms:
  default: { provider: echo }
agents:
  boss:
    agent_tools: [helper, middle, both, slow, far]
    sub_agents: [desk, flow, far]
  helper: { visibility: private, description: Helps, agent_tools: [], tools: [] }
  middle: { agent_tools: [slow], tools: [] }
  slow: { type: member, visibility: private, tag: ${tag}, waits: go-${tag} }
  desk: { tools: [], sub_agents: [deep] }
  deep: { tools: [] }
  plain: { type: member, tag: plain }
  asker: { type: member, tag: asker, asks: Which colour? }
  broken: { type: member, fails: The pen is empty. }
  flow: { type: sequential, sub_agents: [plain, asker, plain] }
  both: { type: parallel, sub_agents: [plain, helper, plain] }
  nested: { type: sequential, sub_agents: [plain, flow, both] }
  failing: { type: parallel, sub_agents: [slow, broken] }
  twice: { type: loop, sub_agents: [plain], max_iterations: 2 }
  far: { type: remote, url: ${far} }
  travel: { type: sequential, sub_agents: [plain, far] }
server: { limits: { max_agent_depth: 2 } }
`;

const log = ({ folder }: Hector): string[] => {
  const path = join(folder, 'members.log');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
};

const response = (task: Task): string =>
  task.artifacts
    .filter(({ name }) => name === 'response')
    .map((artifact) => answer({ ...task, artifacts: [artifact] }))
    .join('|');

const artifactsOf = (task: Task) =>
  task.artifacts.map(({ artifactId }) => artifactId.replace(/^response-.*/, 'response'));

const delegate = (name: string, request: string) => `call ${name} ${JSON.stringify({ request })}`;

describe('agents that work together', () => {
  let far: Hector;
  let hector: Hector;
  const say = async (agent: string, text: string, given = {}) => send(await connect(hector.url, agent), text, given);

  before(async () => {
    far = await startHector({ config: 'llms: { default: { provider: echo } }\nagents: { there: {} }\n' });
    hector = await startHector({
      config: config('old', `${far.url}/agents/there`),
      files: { 'member-plugin.mjs': await member() },
      args: ['--watch'],
    });
  });
  after(async () => {
    await hector[Symbol.asyncDispose]();
    await far[Symbol.asyncDispose]();
  });

  test('a private agent is a tool of another one, and cannot be asked from outside', async () => {
    assert.equal(response(await say('boss', delegate('helper', 'this please'))), 'this please');
    const outside = await rpc(
      `${hector.url}/agents/helper`,
      'SendMessage',
      { message: userMessage('hi') },
      { version: '1.0' },
    );
    assert.equal(outside.status, 404);
  });

  test('a workflow and an agent elsewhere are tools as well', async () => {
    const task = await say('boss', `${delegate('both', 'x')}\n${delegate('far', 'over there')}`);
    assert.match(response(task), /\[Answer of "plain"\]: plain heard x[\s\S]*\[Answer of "helper"\]: x/);
    assert.match(response(task), /over there/);
    assert.deepEqual(
      artifactsOf(task)
        .filter((id) => id.startsWith('both-'))
        .map((id) => id.replace(/^both-[0-9a-f]{8}/, 'both')),
      ['both/1-plain', 'both/2-helper', 'both/3-plain'],
    );
  });

  test('calls are told while they run, to a client that asks for the extension', async () => {
    const path = `${hector.url}/agents/boss`;
    const said = async (extensions: Record<string, string>) => {
      const answered = await fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'a2a-version': '1.0', ...extensions },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'SendStreamingMessage',
          params: { message: userMessage(delegate('helper', 'x')) },
        }),
      });
      return answered.text();
    };
    const told = await said({ 'a2a-extensions': toolCallsExtension });
    assert.match(told, /"data":\{"tool_call":\{"id":"call_1","name":"helper","arguments":\{"request":"x"\}\}\}/);
    assert.match(told, /"data":\{"tool_result":\{"id":"call_1","name":"helper","is_error":false,"text":"x"\}\}/);
    assert.doesNotMatch(await said({}), /tool_call/);
  });

  test('a conversation is handed over, stays there, goes deeper, and comes back; another one beside it does not', async () => {
    const mine = { contextId: 'context-mine' };
    const other = { contextId: 'context-other' };
    await say('boss', 'call transfer_to_desk', mine);
    await say('boss', 'nothing', other);
    // Only who is offered the tool calls it: so the desk has the one conversation and not the other.
    const [deeper, unmoved] = await Promise.all([
      say('boss', 'call transfer_to_deep\nfind it', mine),
      say('boss', 'call transfer_to_deep\nfind it', other),
    ]);
    assert.match(response(deeper), /find it/);
    assert.match(response(unmoved), /find it/);
    assert.equal(
      response(await say('boss', delegate('helper', 'who are you'), mine)),
      delegate('helper', 'who are you'),
    );
    assert.equal(response(await say('boss', delegate('helper', 'who are you'), other)), 'who are you');
    await say('boss', 'call transfer_to_desk', mine);
    await say('boss', 'call transfer_to_boss', mine);
    assert.equal(response(await say('boss', delegate('helper', 'back again'), mine)), 'back again');
  });

  test('a sub-agent elsewhere answers, and the conversation is back with the first one', async () => {
    const context = { contextId: 'context-far' };
    assert.match(response(await say('boss', 'call transfer_to_far\nhello there', context)), /hello there/);
    assert.equal(response(await say('boss', delegate('helper', 'mine again'), context)), 'mine again');
  });

  test('a step that asks pauses the workflow, and the reply goes on there', async () => {
    const before = log(hector).length;
    const asked = await say('flow', 'paint');
    assert.equal(asked.status.state, 'TASK_STATE_INPUT_REQUIRED');
    assert.match(JSON.stringify(asked.status.message), /Which colour\?/);
    const done = await say('flow', 'blue', { taskId: asked.id, contextId: asked.contextId });
    assert.equal(done.status.state, 'TASK_STATE_COMPLETED');
    assert.equal(
      response(done),
      'plain heard paint / [Answer of "plain"]: plain heard paint / [Answer of "asker"]: asker heard blue',
    );
    assert.deepEqual(artifactsOf(done), ['1-plain', '2-asker', 'response']);
    assert.deepEqual(
      log(hector)
        .slice(before)
        .filter((line) => line.startsWith('begun')),
      ['begun plain plain', 'begun asker asker', 'begun asker asker', 'begun plain plain'],
    );
  });

  test('so it does within another workflow, and where a conversation was handed over to it', async () => {
    const asked = await say('nested', 'paint');
    assert.equal(asked.status.state, 'TASK_STATE_INPUT_REQUIRED');
    const done = await say('nested', 'green', { taskId: asked.id, contextId: asked.contextId });
    assert.equal(done.status.state, 'TASK_STATE_COMPLETED');
    assert.match(response(done), /asker heard green/);
    assert.deepEqual(artifactsOf(done), [
      '1-plain',
      '2-flow/1-plain',
      '2-flow/2-asker',
      '2-flow',
      '3-both/1-plain',
      '3-both/2-helper',
      '3-both/3-plain',
      'response',
    ]);

    const handed = await say('boss', 'call transfer_to_flow');
    assert.equal(handed.status.state, 'TASK_STATE_INPUT_REQUIRED');
    const flowed = await say('boss', 'red', { taskId: handed.id, contextId: handed.contextId });
    assert.match(response(flowed), /asker heard red/);
    const next = await say('boss', delegate('helper', 'boss again'), { contextId: handed.contextId });
    assert.equal(response(next), 'boss again');
  });

  test('a loop, and an agent elsewhere as a step', async () => {
    assert.equal(response(await say('twice', 'x')), 'plain heard x / [Answer of "plain"]: plain heard x');
    assert.match(response(await say('travel', 'x')), /plain heard x/);
  });

  test('a step that fails cancels the others and names itself', async () => {
    const aborted = log(hector).filter((line) => line === 'aborted slow old').length;
    const task = await say('failing', 'x');
    assert.equal(task.status.state, 'TASK_STATE_FAILED');
    assert.match(
      JSON.stringify(task.status.message),
      /The step \\"broken\\" of \\"failing\\" failed: The pen is empty\./,
    );
    await until(() => log(hector).filter((line) => line === 'aborted slow old').length === aborted + 1);
  });

  test('agents that hand on too often are told so', async () => {
    const deep = config('old', `${far.url}/agents/there`).replace('max_agent_depth: 2', 'max_agent_depth: 1');
    await replace(hector, deep);
    assert.match(response(await say('boss', delegate('middle', delegate('slow', 'x')))), /max_agent_depth/);
    await replace(hector, config('old', `${far.url}/agents/there`));
  });

  test('cancelling a task reaches the agent of the agent', async () => {
    const begun = log(hector).length;
    const events = stream(await connect(hector.url, 'boss'), delegate('middle', delegate('slow', 'x')))[
      Symbol.asyncIterator
    ]();
    const { id } = ((await events.next()).value as { task: Task }).task;
    await until(() => log(hector).slice(begun).includes('begun slow old'));
    const { body } = await rpc(`${hector.url}/agents/boss`, 'CancelTask', { id }, { version: '1.0' });
    assert.match(JSON.stringify(body.result), /TASK_STATE_CANCELED/);
    await until(() => log(hector).slice(begun).includes('aborted slow old'));
    await events.return?.(undefined);
  });

  test('an agent that is replaced while another one waits for it is waited for; the next message has the new one', async () => {
    const begun = log(hector).length;
    const first = say('boss', delegate('slow', 'one'));
    await until(() => log(hector).slice(begun).includes('begun slow old'));
    await replace(hector, config('new', `${far.url}/agents/there`));
    await writeFile(join(hector.folder, 'go-new'), '');
    assert.equal(response(await say('boss', delegate('slow', 'two'))), 'new heard two');
    await writeFile(join(hector.folder, 'go-old'), '');
    assert.equal(response(await first), 'old heard one');
  });
});

test('agents that lead back to themselves, by whatever options, are an error that shows the way', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-circle-'));
  try {
    const path = join(folder, 'config.yaml');
    await writeFile(
      path,
      `llms: { default: { provider: echo } }
agents:
  a: { agent_tools: [b] }
  b: { type: sequential, sub_agents: [d, c] }
  c: { sub_agents: [e] }
  d: {}
  e: { type: loop, sub_agents: [d, a] }
`,
    );
    const { stdout } = await run(process.execPath, [cli, 'validate', path, '--format', 'json'], {
      env: cleanEnvironment(),
    }).catch((error: { stdout: string }) => error);
    const { errors } = JSON.parse(stdout) as { errors: { path: string; message: string }[] };
    assert.deepEqual(
      errors.map(({ message }) => message),
      ['agents call each other in a circle: a → b → c → e → a. Remove one of the references'],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
