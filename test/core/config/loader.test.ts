import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ConfigError } from '../../../core/config/issue.ts';
import { Loader } from '../../../core/config/loader.ts';
import type { Override } from '../../../core/config/overrides.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import type { ConfigDocument } from '../../../core/index.ts';
import { Random } from '../../support/random.ts';
import { failureOf, optionsOf } from '../../support/stand-ins.ts';
import { until } from '../../support/until.ts';

const environment = { OPENAI_API_KEY: 'sk-0123456789' };

function documentOf(text: string, folder?: string): ConfigDocument {
  return { text, source: 'hector.yaml', revision: '1', ...(folder !== undefined && { folder }) };
}

/** One loader through several texts. */
function following(wish: Parameters<typeof optionsOf>[0] = {}) {
  const loader = new Loader();
  return (text: string) => loader.load(documentOf(text), optionsOf({ environment, ...wish }));
}

const agents = (...names: string[]) =>
  `agents:\n${names.map((name) => `  ${name}: {description: I am ${name}}\n`).join('')}`;

test('an agent of which nothing has changed is the same object, and so is every other entry', async () => {
  const load = following();
  const rest = 'llms:\n  default: {provider: openai}\n  other: {provider: openai, model: x}\n';
  const first = await load(`${rest}${agents('a', 'b')}server: {port: 80}\n`);
  const second = await load(
    `${rest.replace('model: x', 'model: y')}\n# moved\n${agents('b', 'c', 'a').replace('am b', 'was b')}server: {port: 80}\n`,
  );
  assert.equal(second.config.agents['a'], first.config.agents['a']);
  assert.notEqual(second.config.agents['b'], first.config.agents['b']);
  assert.equal(second.config.llms['default'], first.config.llms['default']);
  assert.notEqual(second.config.llms['other'], first.config.llms['other']);
  assert.equal(second.config.server, first.config.server);
  assert.deepEqual(second.locate(['agents', 'a', 'description']), { line: 9, column: 7 });
  assert.ok([second.config, second.config.agents, second.config.agents['a']].every(Object.isFrozen));
});

test('an agent that is written in other words is the same object', async () => {
  const load = following();
  const first = await load(agents('a'));
  assert.equal((await load('agents:\n  a:\n    description: "I am a"\n')).config.agents['a'], first.config.agents['a']);
  assert.equal(
    (await load('{"agents": {"a": {"description": "I am a"}}}')).config.agents['a'],
    first.config.agents['a'],
  );
});

test('a document that is only looked at leaves no trace', async () => {
  const loader = new Loader();
  const options = optionsOf({ environment });
  const first = await loader.load(documentOf(agents('a')), options);
  await loader.check(documentOf(agents('a').replace('am', 'was')), options);
  assert.equal((await loader.load(documentOf(agents('a')), options)).config.agents['a'], first.config.agents['a']);
});

test('what an agent refers to is looked for again when it goes away, wherever the agent is', async () => {
  const load = following();
  const llms = 'llms:\n  default: {provider: openai}\n  other: {provider: openai}\n';
  const text = `${llms}agents:\n  a: {llm: other}\n  b: {}\n`;
  await load(text);
  await assert.rejects(load(text.replace('  other: {provider: openai}\n', '')), (error: Error) => {
    assert.equal(error.message, 'hector.yaml:4:7 agents.a.llm: no LLM is named "other" (defined: default)');
    return true;
  });
  assert.equal((await load(text)).config.agents['a']?.['llm'], 'other');
});

/** What can be said of a snapshot or of an error, for comparison. */
function told(result: Snapshot | ConfigError, paths: readonly (readonly (string | number)[])[]): unknown {
  if (result instanceof ConfigError)
    return { message: result.message, issues: result.issues, files: [...result.files].sort() };
  const { config, printable, warnings, hash, files, optionFiles, texts, secrets, locate, originOf, folderOf } = result;
  return {
    config,
    names: Object.keys(config.agents),
    printable,
    warnings,
    hash,
    files: [...files].sort(),
    optionFiles: [...optionFiles].sort((a, b) => (a.path.join() < b.path.join() ? -1 : 1)),
    texts: [...texts],
    secrets: [...secrets.values].sort(),
    places: paths.map((path) => [path, locate(path), originOf(path), folderOf(path)]),
  };
}

function pathsIn(value: unknown): (string | number)[][] {
  const paths: (string | number)[][] = [];
  const visit = (each: unknown, path: (string | number)[]) => {
    paths.push(path);
    if (typeof each !== 'object' || each === null) return;
    for (const [key, inner] of Array.isArray(each) ? each.entries() : Object.entries(each))
      visit(inner, [...path, key]);
  };
  visit(value, []);
  return [...paths, ['agents', 'nobody', 'llm'], ['agents', 'a', 'nothing']];
}

/** A configuration that is edited at random, and says what it is in three ways. */
class Edited {
  readonly #random: Random;
  /** Files can be referred to. */
  readonly #local: boolean;
  readonly agents = new Map<string, string[]>();
  readonly llms = new Map<string, string>();
  readonly variables: Record<string, string> = { ...environment, WHO: 'somebody' };
  overrides: Override[] = [];
  extra = '';
  top = '';

  constructor(random: Random, local: boolean) {
    this.#random = random;
    this.#local = local;
    this.mend();
  }

  mend(): void {
    for (const name of ['default', 'other', 'third']) this.llms.set(name, '{provider: openai}');
    for (const [name, lines] of this.agents)
      this.agents.set(
        name,
        lines.filter((line) => !/tols|gone|UNSET|x: "|skills|\t|file:/.test(line)),
      );
    this.extra = '';
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }

  #lines(): string[] {
    const one = <T>(list: readonly T[]) => this.#one(list);
    const all = [
      `description: ${one(['one', 'two', '"three: 3"', '${WHO}', '${WHO}', '${MISSING:-none}', '$$ 5'])}`,
      `instruction: ${one([this.#local ? '${file:prompt.txt}' : 'long', '|\n  You are\n  here.\n', 'short'])}`,
      `llm: ${one(['default', 'default', 'other', 'third'])}`,
      `tools: ${one(['[]', '[search]', 'search, x', '[x]'])}`,
      `streaming: ${one(['true', '"false"', '${STREAM:-true}'])}`,
      `enabled: ${one(['true', 'true', 'false'])}`,
      'trigger: {schedule: "* * * * *"}',
    ];
    const lines = all.filter(() => this.#random.below(3) === 0);
    if (this.#random.below(40) === 0)
      lines.push(one(['tols: []', 'llm: gone', 'description: ${UNSET}', 'x: "', 'skills: 5', '\ty: 1']));
    return lines;
  }

  edit(): 'file' | undefined {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'a-very-long-name-of-an-agent', 'h'];
    const name = this.#one(names);
    const kind = this.#random.below(20);
    if (kind < 9) this.agents.set(name, this.#lines());
    else if (kind < 11) this.agents.delete(name);
    else if (kind < 12) for (const each of names) this.agents.set(each, this.#lines());
    else if (kind < 14) {
      const llm = this.#one(['default', 'other', 'third']);
      if (this.llms.has(llm) && this.#random.below(2) === 0) this.llms.delete(llm);
      else this.llms.set(llm, `{provider: openai, model: m${this.#random.below(3)}}`);
    } else if (kind < 15)
      this.top = this.#one(['', '# a line\n\n', 'defaults: {llm: other}\n', 'defaults: {llm: default}\n']);
    else if (kind < 16)
      this.extra = this.#one([
        '',
        'server: {port: 81}\n',
        'server:\n  default_agent: a\n',
        'name: x\n',
        'server: {prt: 1}\n',
      ]);
    else if (kind < 17) this.variables['WHO'] = this.#one(['somebody', 'nobody', 'anybody else']);
    else if (kind < 18) {
      const origin = '--instruction';
      this.overrides =
        this.#random.below(2) === 0 ? [] : [{ path: ['agents', name, 'instruction'], value: '$x', origin }];
    } else if (kind < 19) return 'file';
    else this.agents.clear();
    return undefined;
  }

  /** Lines that go on are indented like the first. */
  #entry(lines: readonly string[], indent: string): string {
    return lines.map((line) => `${indent}${line.replaceAll('\n', `\n${indent}`).trimEnd()}\n`).join('');
  }

  yaml(folder: string): ConfigDocument {
    const llms = [...this.llms].map(([name, value]) => `  ${name}: ${value}\n`).join('');
    const all = [...this.agents].map(([name, lines]) => `  ${name}:\n${this.#entry(lines, '    ')}`).join('');
    return documentOf(`${this.top}llms:\n${llms}agents:\n${all}${this.extra}`, folder);
  }

  flow(folder: string): ConfigDocument {
    const { text, ...rest } = this.yaml(folder);
    return { ...rest, text: text.replace('agents:\n', 'agents: # all\n  "quoted": {}\n') };
  }

  entries(): ConfigDocument {
    const entries = new Map<string, string>(
      [...this.agents].map(([name, lines]) => [`agents/${name}`, this.#entry(lines, '')] as const),
    );
    for (const [name, value] of this.llms) entries.set(`llms/${name}`, value);
    if (this.extra !== '') entries.set('', this.extra);
    return { text: '', entries, source: 'consul:hector/', revision: '1' };
  }
}

/** Whether a snapshot says how it differs from the one before; what it says must be true. */
function assertDifference({ agents, config, difference }: Snapshot, before: Snapshot | undefined): boolean {
  assert.deepEqual([...agents], Object.entries(config.agents));
  if (!difference) return false;
  assert.equal(difference.since, before?.agents);
  assert.deepEqual([...agents.keys()], [...difference.since.keys()]);
  const another = [...agents].filter(([name, agent]) => agent !== difference.since.get(name)).map(([name]) => name);
  assert.deepEqual(
    another.filter((name) => !difference.changed.includes(name)),
    [],
  );
  return true;
}

for (const [kind, seed] of [
  ['yaml', 3],
  ['flow', 4],
  ['entries', 5],
] as const) {
  test(`what was loaded before makes no difference to what is loaded: ${kind}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-loader-'));
    try {
      await writeFile(join(folder, 'prompt.txt'), 'be kind to all\n');
      const random = new Random(seed);
      const edited = new Edited(random, kind !== 'entries');
      const loader = new Loader();
      let good = 0;
      let bad = 0;
      let carried = 0;
      let compared = 0;
      let before: Snapshot | undefined;
      for (let round = 0; round < 250; round++) {
        for (let edits = 1 + random.below(3); edits > 0; edits--)
          if (edited.edit() === 'file') await writeFile(join(folder, 'prompt.txt'), `be kind to ${round}\n`);
        const document = edited[kind](folder);
        const options = optionsOf({ environment: { ...edited.variables }, overrides: [...edited.overrides] });
        const outcome = (from: Loader) =>
          from.load(document, options).catch((error: unknown) => {
            if (error instanceof ConfigError) return error;
            throw error;
          });
        const [once, again] = [await outcome(new Loader()), await outcome(loader)];
        const paths = once instanceof ConfigError ? [] : pathsIn(once.config);
        assert.deepEqual(told(again, paths), told(once, paths), `round ${round}\n${document.text}`);
        if (again instanceof ConfigError) {
          bad++;
          if (random.below(2) === 0) edited.mend();
          continue;
        }
        good++;
        for (const [name, agent] of Object.entries(again.config.agents))
          if (before?.config.agents[name] === agent) carried++;
        if (assertDifference(again, before)) compared++;
        before = again;
      }
      assert.ok(good > 40 && bad > 40 && carried > good, `${good} good, ${bad} bad, ${carried} carried over`);
      assert.ok(compared > 10, `${compared} differ in some agents only`);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

/** As it comes from a socket or a disk: one flat string. */
const flat = (text: string) => Buffer.from(text).toString();

function fleet(count: number, wordsOf: (index: number) => string = () => 'the same as ever'): string {
  const agent = (_: unknown, index: number) =>
    `  an-agent-with-a-long-name-${index}:\n    description: Answers about ${index}, ${wordsOf(index)}\n    instruction: |\n      You are number ${index}.\n      Be brief, and say so when you do not know.\n    skills:\n      - {id: s${index}, name: Skill ${index}}\n`;
  return flat(`llms: {default: {provider: openai}}\nagents:\n${Array.from({ length: count }, agent).join('')}`);
}

test('what is left of a document is gone with it', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed / 1e6;
  };
  const load = following();
  const words = new Map<number, string>();
  const reload = (from: number, to: number) =>
    [...Array(to - from).keys()].reduce(async (before, at) => {
      await before;
      words.set((from + at) % 300, `as of ${from + at}`);
      await load(fleet(300, (index) => words.get(index) ?? 'new'));
    }, Promise.resolve());
  await reload(0, 50);
  const early = heap();
  await reload(50, 550);
  const late = heap();
  // The documents have 100 MB together.
  assert.ok(late < early + 8, `${early.toFixed(1)} MB, then ${late.toFixed(1)} MB`);
});

test('a long document that cannot be cut is parsed in another thread, and that is gone afterwards', async () => {
  const load = following();
  const object = { llms: { default: { provider: 'openai' } }, agents: {} as Record<string, object> };
  for (let index = 0; index < 600; index++)
    object.agents[`a${index}`] = { description: `Answers about ${index}`, skills: [{ id: 's', name: 'S' }] };
  const text = JSON.stringify(object, null, 1);
  const parsed = new Loader();
  const loading = parsed.load(documentOf(text), optionsOf({ environment }));
  await until(() => process.getActiveResourcesInfo().includes('MessagePort'));
  const first = await loading;
  assert.equal(process.getActiveResourcesInfo().includes('MessagePort'), false);
  assert.equal(Object.keys(first.config.agents).length, 600);
  assert.deepEqual(
    first.locate(['agents', 'a1', 'skills', 0, 'name']),
    placeOf(text, text.indexOf('"name"', text.indexOf('"a1"'))),
  );

  const changed = text.replace('Answers about 599', 'Asks about 599').replace('{', '{\n\n');
  const second = await parsed.load(documentOf(changed), optionsOf({ environment }));
  assert.equal(second.config.agents['a598'], first.config.agents['a598']);
  assert.equal(second.config.agents['a599']?.description, 'Asks about 599');
  assert.deepEqual(second.locate(['agents', 'a1']), placeOf(changed, changed.indexOf('"a1"')));

  const wrong = text.replace('"skills"', 'skills: "');
  const [issue] = (await failureOf(parsed.load(documentOf(wrong), optionsOf({ environment })))).issues;
  assert.equal(issue?.rule, 'syntax');
  await assert.rejects(load(text.replace('"description"', '"descriptoin"')), /a0\.descriptoin: there is no key/);
});

test('a long document with an anchor is understood as a whole', async () => {
  const load = following();
  const other = (index: number) => `  a${index}:\n    description: ${'words '.repeat(100)}\n    skills: *these\n`;
  const first = 'agents:\n  a:\n    skills: &these\n      - {id: s, name: S}\n';
  const { config } = await load(first + Array.from({ length: 80 }, (_, index) => other(index)).join(''));
  assert.equal(Object.keys(config.agents).length, 81);
  assert.deepEqual(config.agents['a79']?.skills, config.agents['a']?.skills);
});

function placeOf(text: string, offset: number) {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1) as string).length + 1 };
}
