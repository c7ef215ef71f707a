import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { lineDiff } from '../../../../server/commands/config/line-diff.ts';
import { mergedDocument } from '../../../../server/commands/config/merge.ts';
import { splitDocument } from '../../../../server/commands/config/split.ts';

const document = `# All of it
version: "2"   # of the language

# models
llms: # here
  # the cheap one
  default:
    # inside
    provider: echo   # as it is
    delay: 1ms
  big: { provider: echo,
    delay: 2ms }
plugins:
- a
- b
agents:

  # writes
  writer:   # with a pen
    instruction: |
      Say
        # not a comment
      bye
    # at the end

  # judges
  critic:
    instruction: >-
      a

      b
    tools: [x]
  empty:
server:
  port: 80
# the end
`;

test('an entry is cut out of the text as it is, with the comments above and in it', () => {
  const entries = splitDocument(document);
  assert.deepEqual(Object.fromEntries(entries), {
    version: '# All of it\n"2"   # of the language\n',
    'llms/default': '# models\n# here\n# the cheap one\n# inside\nprovider: echo   # as it is\ndelay: 1ms\n',
    'llms/big': '{ provider: echo,\n  delay: 2ms }\n',
    plugins: '- a\n- b\n',
    'agents/writer': '# writes\n# with a pen\ninstruction: |\n  Say\n    # not a comment\n  bye\n# at the end\n',
    'agents/critic': '# judges\ninstruction: >-\n  a\n\n  b\ntools: [x]\n',
    'agents/empty': 'null\n',
    server: 'port: 80\n# the end\n',
  });
});

test('divided, merged and divided again, the entries are the same; merged, they say what the document says', () => {
  const entries = splitDocument(document);
  const merged = mergedDocument(entries);
  assert.deepEqual(parse(merged), parse(document));
  assert.match(merged, /^ {2}# agents\/writer\n {2}writer:\n {4}# writes$/m);
  assert.deepEqual(new Map([...splitDocument(merged)].sort()), new Map([...entries].sort()));
});

test('what a piece alone would not say is printed anew: an alias, a merge key, a block scalar that counts its spaces', () => {
  const text = `llms:
  one: &one { provider: echo }
  two: *one
  # kept
  three:
    <<: *one
    delay: 1ms
agents:
  a: { instruction: "x
    y" }
  b:
    instruction: |2
        two more
    tools: []
`;
  const entries = splitDocument(text);
  assert.equal(entries.get('llms/two'), 'provider: echo\n');
  assert.equal(entries.get('llms/three'), '# kept\nprovider: echo\ndelay: 1ms\n');
  assert.deepEqual(parse(mergedDocument(entries), { merge: true }), parse(text, { merge: true }));
});

test('JSON is divided as well, and the pieces are JSON', () => {
  const value = {
    version: '2',
    llms: { default: { provider: 'echo' } },
    agents: { a: { instruction: 'x\ny' } },
    tools: {},
  };
  for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
    const entries = splitDocument(text);
    assert.deepEqual([...entries.keys()], ['version', 'llms/default', 'agents/a', 'tools']);
    assert.deepEqual(JSON.parse(entries.get('agents/a') ?? ''), value.agents.a);
    assert.deepEqual(parse(mergedDocument(entries)), value);
  }
});

test('text with carriage returns, without a last line break, and with document markers', () => {
  const text = '---\r\nllms:\r\n  default:\r\n    provider: echo\r\nagents:\r\n  a:\r\n    instruction: hi';
  const entries = splitDocument(text);
  assert.deepEqual([...entries.keys()], ['llms/default', 'agents/a']);
  assert.deepEqual(parse(mergedDocument(entries)), parse(text));
});

test('what is no map is refused with the reason; nothing at all is no entries', () => {
  assert.throws(() => splitDocument('- a\n'), { code: 'not_divisible', message: /it is no map/ });
  assert.throws(() => splitDocument('a: [\n'), { code: 'not_divisible' });
  for (const text of ['', '# nothing\n']) assert.equal(splitDocument(text).size, 0);
});

test('entries as others may have written them: a section whole beside one of its own, deeper paths, names that need quotes', () => {
  const entries = new Map([
    ['agents', '# all\na: { instruction: x }\n'],
    ['agents/on', '{ instruction: y }'],
    ['agents/12', 'instruction: z'],
    ['server/limits', 'max_connections: 5'],
    ['server', 'port: 80'],
    ['', 'name: whole\n'],
  ]);
  assert.deepEqual(parse(mergedDocument(entries)), {
    name: 'whole',
    agents: { a: { instruction: 'x' }, on: { instruction: 'y' }, 12: { instruction: 'z' } },
    server: { port: 80, limits: { max_connections: 5 } },
  });
  entries.set('agents/a', '{}');
  assert.throws(() => mergedDocument(entries), { code: 'not_mergeable', message: /"agents" and "agents\/a" both/ });
  assert.throws(() => mergedDocument(new Map([['agents/a', 'a: [']])), { message: /entry "agents\/a" is no YAML/ });
});

test('a line diff applied to the one gives the other, for 300 pairs of random texts', () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  for (let round = 0; round < 300; round++) {
    const line = () => 'abcd'.charAt(random(4));
    const before = Array.from({ length: random(30) }, line);
    const after = before.flatMap((each) => (random(4) === 0 ? [] : random(4) === 0 ? [each, line()] : [each]));
    assert.deepEqual(applied(before, lineDiff(before, after)), after, `round ${round}`);
  }
});

test('a line diff of texts that have nothing in common ends soon', () => {
  const lines = (of: string) => Array.from({ length: 20_000 }, (_, index) => `${of}${index}`);
  const [before, after] = [lines('a'), lines('b')];
  assert.deepEqual(applied(before, lineDiff(before, after)), after);
});

/** As `patch` does it. */
function applied(before: readonly string[], diff: string): string[] {
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(0, -1)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+/.exec(line);
    if (hunk) {
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      out.push(...before.slice(at, start));
      at = start;
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      assert.equal(before[at++], line.slice(1));
      if (line.startsWith(' ')) out.push(line.slice(1));
    }
  }
  return [...out, ...before.slice(at)];
}
