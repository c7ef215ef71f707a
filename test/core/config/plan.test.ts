import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSnapshot } from '../../../core/config/load.ts';
import { isEmptyPlan, planOf, restartRequired } from '../../../core/config/plan.ts';
import { builtins } from '../../../plugins/builtin.ts';

const variables: Readonly<Record<string, string>> = { A: 'canary-value', B: 'canary-value' };

const load = (text: string) =>
  loadSnapshot(
    { text, source: 'test.yaml', revision: '1', folder: import.meta.dirname },
    { builtins, environment: { get: (name) => variables[name] } },
  );

const fleet = `
llms:
  default: { provider: echo }
  big: { provider: echo, delay: 1ms }
document_stores:
  manual: { source: { type: directory, path: . } }
agents:
  writer: { llm: big, tools: [], document_stores: [] }
  critic: { llm: default, tools: [], document_stores: [] }
  reader: { llm: default, tools: [search], document_stores: [manual] }
`;

test('without a configuration before, everything is new and nothing needs a restart', async () => {
  const plan = planOf(undefined, await load(fleet));
  assert.deepEqual(plan.sections.agents, { added: ['writer', 'critic', 'reader'], changed: [], removed: [] });
  assert.deepEqual(plan.sections.llms?.added, ['default', 'big']);
  assert.deepEqual([plan.settings, plan.affected, plan.restart_required], [[], [], []]);
});

test('added, changed with the keys, removed; and the agents that use what has changed', async () => {
  const after = fleet
    .replace('delay: 1ms', 'delay: 2ms')
    .replace('critic: { llm: default', 'critic: { instruction: Be kind., llm: default')
    .replace(/ {2}reader:.*\n/, '  added: {}\n');
  const plan = planOf(await load(fleet), await load(after));
  assert.deepEqual(plan.sections, {
    agents: { added: ['added'], changed: [{ name: 'critic', keys: ['instruction'] }], removed: ['reader'] },
    llms: { added: [], changed: [{ name: 'big', keys: ['delay'] }], removed: [] },
  });
  assert.deepEqual(plan.affected, [{ agent: 'writer', through: ['llms.big'] }]);
  assert.ok(!isEmptyPlan(plan));
});

test('a document store affects the agents that read it, and no other', async () => {
  const after = fleet.replace('path: .', 'path: ..');
  const plan = planOf(await load(fleet), await load(after));
  assert.deepEqual(plan.sections.document_stores?.changed, [{ name: 'manual', keys: ['source.path'] }]);
  assert.deepEqual(plan.affected, [{ agent: 'reader', through: ['document_stores.manual'] }]);
});

test('the same said in another way is no change', async () => {
  const after = `# another\n${fleet.replace('{ provider: echo }', '{ "provider": "echo" }')}`;
  assert.ok(isEmptyPlan(planOf(await load(fleet), await load(after))));
});

test('another reference is a change, also where it stands for the same here; and no value is in a plan', async () => {
  const of = (value: string) => `llms: { default: { provider: openai, model: x, api_key: "${value}" } }\n`;
  const variable = planOf(await load(of('${A}')), await load(of('${B}')));
  assert.deepEqual(variable.sections.llms?.changed, [{ name: 'default', keys: ['api_key'] }]);
  const written = planOf(await load(of('canary-one')), await load(of('canary-two')));
  assert.deepEqual(written.sections.llms?.changed, [{ name: 'default', keys: ['api_key'] }]);
  assert.doesNotMatch(JSON.stringify([variable, written]), /canary/);
});

test('what is read once at the start needs a restart, and nothing else does', async () => {
  const before = await load(fleet);
  const all = await load(`${fleet}
server:
  host: 127.0.0.1
  port: 9000
  public_url: https://agents.example.com
  timeouts: { headers: 5s }
  limits: { max_connections: 5, max_running_tasks: 5 }
logger: { level: debug, format: json, file: /tmp/hector.log }
`);
  assert.deepEqual(restartRequired(before.config, all.config), [
    'server.host',
    'server.port',
    'server.timeouts.headers',
    'server.limits.max_connections',
    'logger.format',
    'logger.file',
  ]);
  const plan = planOf(before, all);
  assert.deepEqual(plan.restart_required, restartRequired(before.config, all.config));
  assert.ok(plan.settings.includes('server.public_url') && plan.settings.includes('logger.level'));
});
