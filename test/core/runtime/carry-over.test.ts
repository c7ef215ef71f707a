import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ConfigError } from '../../../core/config/issue.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import type { ExtensionContext } from '../../../core/extension/points.ts';
import { Generation } from '../../../core/runtime/generation.ts';
import { Scope } from '../../../core/runtime/scope.ts';
import { agent, box, copied, instanceOf, llm, reader, reloads, retire, shelf } from './reloads.ts';

const four = { a: agent(), b: agent(), c: agent(), d: agent() };

test('an agent whose configuration is the same object is taken over, whatever else changes', async () => {
  const { build, snapshot, events, pool } = await reloads();
  const first = await build(snapshot({ agents: four }));
  events.length = 0;
  const second = await build(snapshot({ agents: { ...four, b: agent({ instruction: 'other' }) } }), first);
  assert.deepEqual(events, ['+agent b']);
  for (const name of ['a', 'c', 'd']) {
    assert.equal(instanceOf(first, name), instanceOf(second, name));
    assert.equal(first.contents.agents.get(name), second.contents.agents.get(name));
  }
  await retire(first);
  assert.deepEqual(events, ['+agent b', '-agent b']);
  await retire(second);
  assert.equal(pool.size, 0);
});

test('it is not looked at: not even its options are read', async () => {
  const { build, snapshot } = await reloads();
  let reads = 0;
  const watched = new Proxy(agent(), {
    get(target, key) {
      reads++;
      return Reflect.get(target, key);
    },
    ownKeys(target) {
      reads++;
      return Reflect.ownKeys(target);
    },
  });
  const first = await build(snapshot({ agents: { ...four, watched } }));
  assert.ok(reads > 0);
  reads = 0;
  const second = await build(snapshot({ agents: { ...four, b: agent({ instruction: 'other' }), watched } }), first);
  assert.equal(reads, 0);
  assert.equal(instanceOf(first, 'watched'), instanceOf(second, 'watched'));
  await retire(first);
  await retire(second);
});

test('equal configuration in other objects is the same instance, of the configuration that is new', async () => {
  const { build, snapshot, events } = await reloads();
  const first = await build(snapshot({ agents: four }));
  events.length = 0;
  const second = await build(snapshot({ agents: copied(four) }), first);
  assert.deepEqual(events, []);
  assert.equal(instanceOf(first, 'a'), instanceOf(second, 'a'));
  assert.equal(second.contents.agents.get('a')?.config, second.contents.config.agents['a']);
  await retire(first);
  await retire(second);
});

test('another model: its users are rebuilt, and who uses those, and nobody else', async () => {
  const { build, snapshot, events } = await reloads();
  const llms = { default: llm(), other: llm() };
  const agents = {
    boss: agent({ helper: 'middle' }),
    middle: agent({ helper: 'worker' }),
    worker: agent({ llm: 'other' }),
    apart: agent({ helper: 'bystander' }),
    bystander: agent(),
  };
  const first = await build(snapshot({ llms, agents }));
  events.length = 0;
  const second = await build(snapshot({ llms: { ...llms, other: llm(1) }, agents }), first);
  assert.deepEqual(events, ['+llm other', '+agent worker', '+agent middle', '+agent boss']);
  await retire(first);
  assert.deepEqual(events.slice(4), ['-agent boss', '-agent middle', '-agent worker', '-llm other']);
  await retire(second);
});

test('an agent that uses a changed agent is rebuilt; one that uses the same again is not', async () => {
  const { build, snapshot, events } = await reloads();
  const agents = { boss: agent({ helper: 'worker' }), worker: agent(), other: agent() };
  const first = await build(snapshot({ agents }));
  events.length = 0;
  const second = await build(snapshot({ agents: { ...agents, worker: agent({ instruction: 'new' }) } }), first);
  assert.deepEqual(events, ['+agent worker', '+agent boss']);
  events.length = 0;
  const third = await build(snapshot({ agents: { ...second.contents.config.agents, other: agent() } }), second);
  assert.deepEqual(events, []);
  for (const generation of [first, second, third]) await retire(generation);
});

test('toolsets: those who name the changed one, or take all, are rebuilt; so are those who take all when one comes or goes', async () => {
  const { build, snapshot, events } = await reloads();
  const tools = { one: box(['a']), two: box(['b']) };
  const three = box(['z']);
  const agents = {
    all: agent({ tools: undefined }),
    first: agent({ tools: ['one'] }),
    second: agent({ tools: ['two'] }),
    single: agent({ tools: ['b'] }),
  };
  const generations = [await build(snapshot({ tools, agents }))];
  const next = async (changed: Readonly<Record<string, object>>) => {
    events.length = 0;
    generations.push(await build(snapshot({ tools: changed, agents }), generations.at(-1)));
    return events.filter((event) => event.startsWith('+')).sort();
  };
  assert.deepEqual(await next({ ...tools, one: box(['a', 'c']) }), ['+agent all', '+agent first', '+tools one']);
  assert.deepEqual(await next({ ...tools, one: box(['a', 'c']), three }), ['+agent all', '+tools three']);
  assert.deepEqual(
    await next({ three, two: tools.two, one: box(['a', 'c']) }),
    ['+agent all'],
    'the first to offer a tool wins',
  );
  for (const generation of generations) await retire(generation);
});

test('a tool named singly is looked for again where a toolset changed, and only there', async () => {
  const { build, snapshot } = await reloads();
  const tools = { one: box(['a']), two: box(['b']) };
  const agents = { single: agent({ tools: ['b'] }) };
  const first = await build(snapshot({ tools, agents }));
  await assert.rejects(
    build(snapshot({ tools: { ...tools, two: box(['c']) }, agents }), first),
    (error: ConfigError) => {
      assert.match(error.issues[0]?.message ?? '', /no tool is named "b" \(defined: one, two, a, c\)/);
      return true;
    },
  );
  const second = await build(snapshot({ tools, agents: { ...agents, more: agent() } }), first);
  assert.equal(instanceOf(first, 'single'), instanceOf(second, 'single'));
  await retire(first);
  await retire(second);
});

test('document stores: their readers are rebuilt, with a toolset that reads them', async () => {
  const { build, snapshot, events } = await reloads();
  const stores = { manual: shelf(), wiki: shelf() };
  const agents = {
    both: agent({ document_stores: undefined, tools: ['read'] }),
    manual: agent({ document_stores: ['manual'] }),
    wiki: agent({ document_stores: ['wiki'], tools: ['read'] }),
  };
  const rest = { tools: { read: reader() }, agents };
  const first = await build(snapshot({ document_stores: stores, ...rest }));
  events.length = 0;
  const second = await build(snapshot({ document_stores: { ...stores, wiki: shelf(1) }, ...rest }), first);
  assert.deepEqual(events.sort(), ['+agent both', '+agent wiki', '+store wiki', '+tools read', '+tools read']);
  await retire(first);
  await retire(second);
});

test('a file that options name: the agent is rebuilt when what it says is another', async () => {
  const { build, snapshot, events } = await reloads();
  const file = (hash: string) => ({ optionFiles: [{ path: ['agents', 'b', 'instruction_file'], hash }] });
  const first = await build(snapshot({ agents: four }, file('1')));
  events.length = 0;
  const second = await build(snapshot({ agents: four }, file('1')), first);
  assert.deepEqual(events, []);
  const third = await build(snapshot({ agents: four }, file('2')), second);
  assert.deepEqual(events, ['+agent b']);
  for (const generation of [first, second, third]) await retire(generation);
});

test('agents come, go and are disabled; they are listed in the order of the configuration', async () => {
  const { build, snapshot, events, pool } = await reloads();
  const first = await build(snapshot({ agents: four }));
  events.length = 0;
  const { a, b, c, d } = four;
  const second = await build(snapshot({ agents: { e: agent(), d, b, a, c: agent({ enabled: false }) } }), first);
  assert.deepEqual([...second.contents.agents.keys()], ['e', 'd', 'b', 'a']);
  assert.deepEqual(events, ['+agent e']);
  await retire(first);
  assert.deepEqual(events, ['+agent e', '-agent c']);
  const third = await build(snapshot({ agents: { c } }), second);
  assert.deepEqual([...third.contents.agents.keys()], ['c']);
  await retire(second);
  await retire(third);
  assert.equal(pool.size, 0);
});

test('a build that fails leaves what serves as it was, to the last count', async () => {
  const { build, snapshot, open, pool } = await reloads();
  const llms = { default: llm(), other: llm() };
  const agents = { ...four, boss: agent({ helper: 'a' }), tool: agent({ tools: ['x'] }) };
  const tools = { box: box(['x']), spare: box(['y']) };
  const first = await build(snapshot({ llms, tools, agents }));
  const before = [...open];
  const bad: [string, object][] = [
    ['llms', { ...llms, other: llm(0, { fail: true }) }],
    ['agents', { ...agents, z: agent({ fail: true }) }],
    ['agents', { ...agents, a: agent({ fail: true }) }],
    ['tools', { spare: tools.spare }],
  ];
  for (const [section, value] of bad) {
    await assert.rejects(build(snapshot({ llms, tools, agents, [section]: value }), first), { code: 'config' });
    assert.deepEqual([...open], before);
  }
  const second = await build(snapshot({ llms, tools, agents }), first);
  await retire(first);
  assert.deepEqual([...open], before, 'the second holds all of it');
  await retire(second);
  assert.deepEqual([...open], []);
  assert.equal(pool.size, 0);
});

test('nothing is taken over from a generation that is gone, or was not built here', async () => {
  const { build, snapshot, events, pool } = await reloads();
  const first = await build(snapshot({ agents: four }));
  await retire(first);
  events.length = 0;
  const second = await build(snapshot({ agents: four }), first);
  assert.equal(events.filter((event) => event.startsWith('+agent')).length, 4);
  const stranger = new Generation(9, second.contents, new Scope());
  const third = await build(snapshot({ agents: four }), stranger);
  assert.equal(instanceOf(third, 'a'), instanceOf(second, 'a'), 'the pool has it');
  await retire(second);
  await retire(third);
  assert.equal(pool.size, 0);
});

test('what is taken over keeps nothing of the configuration that it was first built from', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const { build, snapshot } = await reloads();
  const sections = {
    tools: { one: box(['x']), read: reader() },
    document_stores: { manual: shelf() },
    agents: { ...four, boss: agent({ helper: 'a', tools: undefined, document_stores: undefined }) },
  };
  const warnings: object[] = [];
  const begin = async () => {
    const old = snapshot(sections);
    const generation = await build(old, undefined, (issue) => void warnings.push(issue));
    return { old: new WeakRef<Snapshot>(old), generation };
  };
  const { old, generation: first } = await begin();
  const second = await build(
    snapshot({ ...sections, agents: { ...sections.agents, b: agent({ llm: 'default', x: 1 }) } }),
    first,
  );
  const dropped = new WeakRef(first);
  await retire(first);
  for (let turn = 0; turn < 20 && old.deref(); turn++) {
    await nextTurn();
    gc();
  }
  assert.equal(old.deref(), undefined);
  // It can warn of something all the same.
  const { context } = instanceOf(second, 'boss') as { context: ExtensionContext };
  context.warn('still here');
  assert.deepEqual(warnings, [{ path: ['agents', 'boss'], message: 'still here', rule: 'build' }]);
  assert.ok(dropped);
  await retire(second);
});
