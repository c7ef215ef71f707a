import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentUnit, Indivisible } from '../../../core/config/agent-unit.ts';
import { agentTree } from '../../../core/config/loaded-agent.ts';
import { type Parts, partsOf, wholeOf } from '../../../core/config/parts.ts';
import { split } from '../../../core/config/split.ts';
import { type ConfigTree, get, namesIn } from '../../../core/config/tree.ts';
import { Pace } from '../../../core/pace.ts';
import { Random } from '../../support/random.ts';

const pieces = (text: string) => split(text, (own, before) => ({ own, before }));

test('a text is cut at its agents, and every part knows its lines', () => {
  const cut = pieces('name: a\nagents: # all of them\n  # first\n  a:\n    x: 1\n\n  b-2: {}\nserver:\n  port: 80\n');
  assert.deepEqual(cut?.head, { text: 'name: a\nagents: # all of them\n', before: 0 });
  assert.deepEqual(
    [...(cut?.agents ?? [])],
    [
      ['a', { own: '  a:\n    x: 1\n\n', before: 3 }],
      ['b-2', { own: '  b-2: {}\n', before: 6 }],
    ],
  );
  assert.deepEqual(cut?.tail, { text: 'server:\n  port: 80\n', before: 7 });
});

test('what cannot be cut is not', () => {
  for (const text of [
    '{"agents": {"a": {}}}',
    'agents: {a: {}}\n',
    'agents:\n',
    'agents:\n  "a": {}\n',
    'agents:\n  a: {}\n  a: {}\n',
    'agents:\n    a: {}\n  b: {}\n',
    'agents:\n  a: {}\n  <<: *x\n',
    'agents:\n  - a\n',
    'agents:\n  a: {}\n---\nname: x\n',
    'agents:\n  a: {}\rb: 1\n',
    'name: x\n',
  ])
    assert.equal(pieces(text), undefined, text);
});

/** A document that is often right, and wrong or strange in every other way. */
function documentOf(random: Random): string {
  const one = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  const often = (share: number) => random.below(100) < share;
  const scalars = [
    'plain',
    '5',
    'true',
    '"quoted: yes"',
    "'single'",
    '~',
    'two words # comment',
    '[a, b]',
    '{x: 1, y: [2]}',
    '"a\n  b:\n    c"',
    '"a\n\nserver: x\n  end"',
    "'it\n  other: x'",
    '[a,\n  other: x]',
    '{a: 1,\n  agents: 2\n}',
    '&base {x: 1}',
    '*base',
    '!!str 5',
    '"open',
    '[open',
    '- x',
    'a: b: c',
    '0x1F',
    '1.0',
  ];
  const header = () => one(['|', '>', '|-', '|+', '>-', '>+', '|2', '|1', '| # c']);
  const noise = () =>
    often(12) ? one(['\n', '   \n', '# comment\n', '   # deep\n', '\t\n', '  # two\n', '\n\n']) : '';
  const block = (indent: number): string => {
    let text = `${header()}\n`;
    for (let lines = random.below(4); lines > 0; lines--)
      text += often(15)
        ? one(['\n', '# c\n', `${' '.repeat(random.below(8))}\n`])
        : `${' '.repeat(indent + random.below(3) - (often(6) ? 2 : 0))}${one(['text', 'key: value', '- item', '# no comment', '"', 'other:'])}\n`;
    return text;
  };
  const value = (indent: number): string => {
    const kind = random.below(10);
    if (kind < 5) return ` ${one(often(70) ? scalars.slice(0, 13) : scalars)}\n`;
    if (kind < 7) return ` ${block(indent + 2)}`;
    if (kind < 8) return `\n${' '.repeat(indent)}${often(80) ? '  ' : ''}- one\n${' '.repeat(indent + 2)}- two\n`;
    return `\n${map(indent + 2, ['k', 'llm', 'x-y', 'deep'], 2)}`;
  };
  const map = (indent: number, names: readonly string[], most: number): string => {
    let text = '';
    for (let left = 1 + random.below(most); left > 0; left--) {
      const key = often(96) ? one(names) : one(['"q"', '? x', '<<', 'null', '1', '__proto__', 'a b']);
      text +=
        noise() +
        ' '.repeat(often(98) ? indent : Math.max(0, indent + random.below(3) - 1)) +
        key +
        ':' +
        value(indent);
    }
    return text;
  };
  let text = often(10) ? one(['---\n', '# top\n', '%YAML 1.2\n---\n', '\uFEFF']) : '';
  text += often(80) ? map(0, ['name', 'llms', 'defaults'], 2) : '';
  const indent = one([1, 2, 2, 2, 4]);
  text += `agents:${one(['', '', '', ' # c', ' '])}\n${map(indent, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'long-name'], 5)}`;
  text += often(70) ? map(0, ['server', 'tools', 'name'], 2) : '';
  text += often(10) ? one(['...\n', '---\n', '# end', '  # end', '\n\n']) : '';
  if (often(10)) text = text.trimEnd();
  return often(10) ? text.replaceAll('\n', '\r\n') : text;
}

/** Everything that a document says, and where. */
function told({ tree, agents }: Parts): unknown {
  const places = (of: ConfigTree, root: unknown) => {
    const found: unknown[] = [];
    const visit = (value: unknown, path: readonly (string | number)[]) => {
      found.push([
        path.join('/'),
        typeof value === 'object' ? Object.keys(value ?? []) : value,
        of.locate(path),
        of.originAt(path)?.source,
      ]);
      if (typeof value === 'object' && value !== null)
        for (const key of Array.isArray(value) ? value.keys() : Object.keys(value))
          visit(get(value, key), [...path, key]);
    };
    visit(root, []);
    return found;
  };
  const origin = tree.origin(tree.root, 'agents');
  const each = (name: string, unit: AgentUnit) => {
    const own = agentTree(name, unit, { overrides: [], origin, names: namesIn({}) });
    return places(own, own.root);
  };
  return [places(tree, tree.root), Object.entries(Object.fromEntries(agents)).map(([name, unit]) => each(name, unit))];
}

test('the parts of a document say what the whole says, in the same places', async () => {
  const random = new Random(7);
  const pace = new Pace();
  let cut = 0;
  let right = 0;
  for (let round = 0; round < 4_000; round++) {
    const text = documentOf(random);
    const document = { text, source: 'hector.yaml', revision: '1', folder: '/' };
    const whole = await wholeOf(document, { pace });
    if (whole.issues.length === 0) right++;
    let parts: unknown;
    try {
      parts = told(await partsOf(document, { pace }));
    } catch (error) {
      if (error instanceof Indivisible) continue;
      throw error;
    }
    cut++;
    assert.deepEqual(whole.issues, [], JSON.stringify(text));
    assert.deepEqual(parts, told(whole), JSON.stringify(text));
  }
  assert.ok(right > 300 && cut > right * 0.6, `${right} were right, ${cut} were cut`);
});
