import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfigBlock } from '../../../core/config/config-block.ts';
import { Loader } from '../../../core/config/loader.ts';
import { printConfig } from '../../../core/config/print.ts';
import { builtins } from '../../../plugins/builtin.ts';
import { scriptedStore } from '../../support/secret-store.ts';
import { failureOf, load, optionsOf, problems, standIns } from '../../support/stand-ins.ts';
import { until } from '../../support/until.ts';
import { watching } from '../../support/watching.ts';

const withStore = (values: Readonly<Record<string, string | Error>> = {}) => {
  const store = scriptedStore(values);
  return { store, wish: { builtins: [standIns, store.plugin] } };
};

test('a reference is what the store has, in every part of a document, and is asked for once', async () => {
  const { store, wish } = withStore({ 'a/b#c': 'value-of-abc', d: 'value-of-d' });
  const text = `
secrets: { safe: { type: scripted, level: "\${LEVEL}" } }
description: "it is \${safe:a/b#c}, \${NAME} and \${safe: d }"
llms: { a: { provider: openai, api_key: "\${safe:d}" } }
agents: { one: { llm: a, instruction: "\${safe:d}" }, two: { llm: a, instruction: "$\${safe:d}" } }
`;
  const snapshot = await load(text, { ...wish, environment: { LEVEL: '7', NAME: 'ann-who-is-read' } });
  const { config } = snapshot;
  assert.equal(config.description, 'it is value-of-abc, ann-who-is-read and value-of-d');
  assert.equal(config.llms['a']?.['api_key'], 'value-of-d');
  assert.equal(config.agents['one']?.['instruction'], 'value-of-d');
  assert.equal(config.agents['two']?.['instruction'], '${safe:d}');
  assert.deepEqual(store.asked.sort(), ['a/b#c', 'd']);
  assert.deepEqual([store.created, store.open], [[{ type: 'scripted', level: 7, refresh_interval: '5m' }], 0]);
  assert.equal(snapshot.refreshMs, 300_000);
  assert.equal(snapshot.secrets.redact('x value-of-d y value-of-abc'), 'x *** y ***');
  const printed = printConfig(snapshot);
  assert.doesNotMatch(printed, /value-of/);
  assert.match(printed, /api_key: \$\{safe:d\}/);
});

test('a store that nobody refers to is not made, and of several the most frequent is asked again', async () => {
  const { store, wish } = withStore({ a: 'the value of a' });
  const section =
    'secrets: { b: { type: scripted }, c: { type: scripted, refresh_interval: 3s }, d: { type: scripted, refresh_interval: 0 } }\n';
  assert.equal((await load(section, wish)).refreshMs, undefined);
  assert.deepEqual(store.created, []);
  assert.equal((await load(`${section}name: "\${b:a} \${c:a} \${d:a}"\n`, wish)).refreshMs, 3_000);
  assert.equal((await load(`${section}name: "\${d:a}"\n`, wish)).refreshMs, undefined);
});

test('what is wrong names the store, the reference and the line, and no value', async () => {
  const { wish } = withStore({ e: new Error('the store is on fire.'), f: 7 as never, g: 'x'.repeat(1024 * 1024 + 1) });
  const safe = 'secrets: { safe: { type: scripted } }\n';
  const cases: [text: string, ...problems: string[]][] = [
    [
      `${safe}name: "\${sfae:a}"\n`,
      'hector.yaml:2:1 name: no secret store is named "sfae" (defined: safe). Did you mean "safe"?',
    ],
    [
      'name: "${region:eu}"\n',
      'hector.yaml:1:1 name: no secret store is named "region" (defined: none). Write secrets.region; the default of a variable is written ${region:-…}',
    ],
    [
      `${safe}name: "\${safe:a}"\ndescription: "\${safe:e}"\n`,
      'hector.yaml:2:1 name: the secret store "safe" does not give "a": there is no such secret',
      'hector.yaml:3:1 description: the secret store "safe" does not give "e": the store is on fire',
    ],
    [
      `${safe}name: "\${safe:f}"\n`,
      'hector.yaml:2:1 name: the secret store "safe" does not give "f": it gave a number, which is no text. Tell the author of its plugin',
    ],
    [
      `${safe}name: "\${safe:g}"\n`,
      'hector.yaml:2:1 name: the secret store "safe" does not give "g": it has more than 1 MiB',
    ],
    [`${safe}name: "\${safe: }"\n`, 'hector.yaml:2:1 name: "${safe: }" names no secret'],
    [
      `${safe}plugins: ["\${safe:a}"]\n`,
      'hector.yaml:2:11 plugins[0]: ${safe:a} is not known here yet: plugins and secrets are read before any secret store, so they refer to ${env:…} and ${file:…} alone',
    ],
    [
      'secrets: { safe: { type: scirpted } }\nname: "${safe:a}"\n',
      'hector.yaml:1:20 secrets.safe.type: no secret store is named "scirpted" (defined: scripted). Did you mean "scripted"?',
    ],
    [
      'secrets: { Safe: { type: scripted } }\n',
      'hector.yaml:1:12 secrets.Safe: "Safe" cannot be the name of a secret store: lower-case letters, digits and "-", a letter first, and neither "env" nor "file"',
    ],
  ];
  for (const [text, ...expected] of cases) assert.deepEqual(await problems(text, wish), expected, text);
});

test('what opens a store is a secret as well', async () => {
  const { wish } = withStore({});
  const text = 'secrets: { safe: { type: scripted, level: 14 } }\nname: "${safe:a}"\n';
  const { message } = await failureOf(load(text, { ...wish, environment: { SCRIPTED_PIN: 'pin-1234567' } }));
  assert.equal(
    message,
    'hector.yaml:2:1 name: the secret store "safe" does not give "a": the pin *** does not open it',
  );
});

test('what a store has to say of its options is a warning of its entry', async () => {
  const { wish } = withStore({ a: 'the value of a' });
  const text =
    'secrets: { safe: { type: scripted, level: 13 } }\nllms: { default: { provider: openai, api_key: k } }\nagents: { one: { instruction: "${safe:a}" } }\n';
  const { warnings } = await load(text, wish);
  assert.deepEqual(
    warnings.map(({ path, message, line }) => [path.join('.'), message, line]),
    [['secrets.safe', 'level: 13 brings bad luck', 1]],
  );
});

test('a store that does not answer is asked once, and given up after ten seconds', async (t) => {
  const { store, wish } = withStore({});
  for (const name of ['a', 'b']) store.values.set(name, 'hangs');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const agents = 'agents: { one: { instruction: "${safe:b}" } }\n';
  const failed = problems(`secrets: { safe: { type: scripted } }\nname: "\${safe:a}"\n${agents}`, wish);
  const tick = setInterval(() => t.mock.timers.tick(1_000), 20);
  t.after(() => clearInterval(tick));
  assert.deepEqual(await failed, [
    'hector.yaml:2:1 name: the secret store "safe" does not give "a": no answer within 10 s',
    'hector.yaml:3:18 agents.one.instruction: the secret store "safe" does not give "b": no answer within 10 s',
  ]);
  assert.deepEqual(store.asked, ['a']);
});

test('from load to load an agent is made anew when its secret has changed, and stays as it is when not', async () => {
  const { store, wish } = withStore({ a: 'first value of a', b: 'first value of b' });
  const document = {
    text: 'secrets: { safe: { type: scripted } }\nagents: { one: { instruction: "${safe:a}" }, two: { instruction: "${safe:b}" } }\n',
    source: 'hector.yaml',
    revision: '1',
  };
  const loader = new Loader();
  const first = await loader.load(document, optionsOf(wish));
  const same = await loader.load(document, optionsOf(wish));
  assert.deepEqual([same.hash, same.refreshMs, same.difference?.changed], [first.hash, 300_000, []]);
  store.values.set('b', 'second value of b');
  const next = await loader.load(document, optionsOf(wish));
  assert.deepEqual(next.difference?.changed, ['two']);
  assert.notEqual(next.hash, first.hash);
  assert.equal(next.config.agents['one'], first.config.agents['one']);
  assert.equal(next.config.agents['two']?.['instruction'], 'second value of b');
  assert.equal(store.asked.length, 6);
});

test('while a configuration is followed, a changed secret is served, and a store that is away changes nothing', async () => {
  const { store, wish } = withStore({ a: 'one' });
  const text = 'secrets: { safe: { type: scripted, refresh_interval: 20ms } }\nname: "${safe:a}"\n';
  await using hector = watching({ document: { text }, builtins: wish.builtins });
  await hector.watcher.start();
  assert.deepEqual(hector.applied, ['one']);
  await until(() => store.asked.length > 2);
  assert.deepEqual(hector.applied, ['one']);
  store.values.set('a', 'two');
  await until(() => hector.serving() === 'two');
  store.values.set('a', new Error('sealed'));
  await until(
    () => hector.watcher.status().state === 'degraded' || hector.logged(/refused a configuration/).length > 0,
  );
  assert.match(hector.watcher.status().error?.message ?? '', /name: the secret store "safe" does not give "a": sealed/);
  assert.equal(hector.serving(), 'two');
  store.values.set('a', 'three');
  await until(() => hector.serving() === 'three');
  assert.equal(hector.watcher.status().error, undefined);
  assert.equal(store.open, 0);
});

test('what is not followed is not asked again', async (t) => {
  const { store, wish } = withStore({ a: 'one' });
  const text = 'secrets: { safe: { type: scripted, refresh_interval: 1s } }\nname: "${safe:a}"\n';
  for (const watch of [true, false]) {
    store.asked.length = 0;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    await using hector = watching({ document: { text }, builtins: wish.builtins, watch });
    await hector.watcher.start();
    t.mock.timers.tick(60_000);
    t.mock.timers.reset();
    if (watch) await until(() => store.asked.length > 1);
    else await hector.watcher.reload();
    assert.equal(store.asked.length, 2);
  }
});

test('the block that says where the configuration is may refer to a store, and the local file says which there are', async () => {
  const { store, wish } = withStore({ token: 'token-of-consul', a: 'the value of a' });
  const text = `
secrets: { safe: { type: scripted } }
config: { provider: consul, key: hector/prod, token: "\${safe:token}" }
`;
  const local = { text, source: 'local.yaml', revision: '1', folder: '/' };
  const options = { ...optionsOf(wish), builtins: [...builtins, store.plugin] };
  const block = await loadConfigBlock(local, options);
  assert.equal(block.options['token'], 'token-of-consul');
  assert.equal(block.secrets.redact('token-of-consul'), '***');
  const remote = await load('name: "${safe:a}"\n', { builtins: options.builtins, folder: null, local });
  assert.equal(remote.config.name, 'the value of a');
});
