import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DocumentStore, type SearchHit, silentLogger, type Tool, type ToolContext } from '../../../core/index.ts';
import plugin from '../../../plugins/tools/search.ts';
import { testToolset } from '../../conformance/toolset.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';

interface Answer {
  readonly results: readonly (SearchHit & { store: string })[];
  readonly note?: string;
}

const call = { signal: new AbortController().signal, logger: silentLogger } as ToolContext;

/** A store with hits of these texts, as many as it is asked for; without a wish, two. */
function store(texts: readonly string[], topScore = 10): DocumentStore {
  const hits = texts.map((text, index) => ({ document: `${text.slice(0, 20)}.md`, text, score: topScore - index }));
  return { search: async ({ limit }) => hits.slice(0, limit ?? 2) };
}

async function searchOver(stores: Record<string, DocumentStore>) {
  const made = extensionContext<'toolset'>({ name: 'search', documentStores: new Map(Object.entries(stores)) });
  const toolset = await createInstance<'toolset'>(plugin, {}, made);
  const [tool] = await toolset.tools(call.signal);
  return { tool: tool as Tool, warnings: made.warnings };
}

const ask = async (tool: Tool, args: Record<string, unknown>) =>
  (await tool.execute({ query: 'anything', ...args }, call)) as Answer;

testToolset({
  test,
  create: () =>
    createInstance<'toolset'>(plugin, {}, extensionContext({ documentStores: new Map([['docs', store(['a', 'b'])]]) })),
  calls: [
    {
      tool: 'search',
      arguments: { query: 'a' },
      check: (result) => assert.equal((result as Answer).results.length, 2),
    },
  ],
});

test('a search can be made again', async () => {
  const { tool } = await searchOver({ docs: store(['a']) });
  assert.equal(tool.idempotent, true);
});

test('results of several stores are interleaved by rank, whatever their scores', async () => {
  const { tool } = await searchOver({ big: store(['a1', 'a2', 'a3'], 1000), small: store(['b1', 'b2'], 1) });
  const { results } = await ask(tool, { limit: 4 });
  assert.deepEqual(
    results.map(({ store, text }) => `${store}:${text}`),
    ['big:a1', 'small:b1', 'big:a2', 'small:b2'],
  );
});

test('without a limit every store gives what its own configuration says', async () => {
  const { tool } = await searchOver({ one: store(['a1', 'a2', 'a3']), two: store(['b1', 'b2', 'b3']) });
  assert.equal((await ask(tool, {})).results.length, 4);
});

test('the parameters offer the stores there are, where there is a choice', async () => {
  const one = await searchOver({ docs: store([]) });
  assert.deepEqual(Object.keys(one.tool.parameters['properties'] as object), ['query', 'limit']);
  const two = await searchOver({ docs: store(['d']), wiki: store(['w']) });
  const { stores } = two.tool.parameters['properties'] as { stores: { items: unknown } };
  assert.deepEqual(stores.items, { enum: ['docs', 'wiki'] });
  assert.deepEqual(two.tool.parameters['required'], ['query']);
  assert.deepEqual(
    (await ask(two.tool, { stores: ['wiki'] })).results.map(({ store }) => store),
    ['wiki'],
  );
});

test('stores are searched at the same time', async () => {
  let waiting = 0;
  let open = (): void => {};
  const both = new Promise<void>((resolve) => {
    open = resolve;
  });
  const meeting: DocumentStore = {
    search: async () => {
      if (++waiting === 2) open();
      await both;
      return [];
    },
  };
  const { tool } = await searchOver({ one: meeting, two: meeting });
  assert.deepEqual((await ask(tool, {})).results, []);
});

test('an answer is bounded: long passages are cut, and what does not fit is left out', async () => {
  const { tool } = await searchOver({
    docs: store(Array.from({ length: 50 }, (_, index) => `${index}`.padEnd(20_000, 'x'))),
  });
  const answer = await ask(tool, { limit: 50 });
  assert.ok(answer.results.length >= 5);
  assert.ok(JSON.stringify(answer).length < 40_000);
  assert.ok(answer.results.every(({ text }) => text.endsWith('…')));
});

test('nothing found is said in words', async () => {
  const { tool } = await searchOver({ docs: store([]) });
  assert.deepEqual(await ask(tool, { query: 'unicorns' }), {
    results: [],
    note: 'No passage fits "unicorns". Try other words.',
  });
});

test('without a store there is one warning at create, and the answer says so', async () => {
  const { tool, warnings } = await searchOver({});
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /tools\.search: there is no document store to search, so every search/);
  assert.match((await ask(tool, {})).note ?? '', /no document store is configured/);
});

test('with a store there is no warning', async () => {
  assert.deepEqual((await searchOver({ docs: store([]) })).warnings, []);
});

test('a store that fails is named, and the others answer; when all fail the call fails', async () => {
  const broken: DocumentStore = { search: async () => Promise.reject(new Error('disk is gone')) };
  const { tool } = await searchOver({ broken, docs: store(['found']) });
  const answer = await ask(tool, {});
  assert.deepEqual(
    answer.results.map(({ text }) => text),
    ['found'],
  );
  assert.equal(answer.note, 'Not searched: broken (disk is gone).');
  const alone = await searchOver({ broken });
  await assert.rejects(ask(alone.tool, {}), /No document store could be searched: broken \(disk is gone\)\./);
});

test('a cancelled call reaches the stores and ends', async () => {
  const hanging: DocumentStore = {
    search: (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  const { tool } = await searchOver({ hanging });
  const controller = new AbortController();
  const running = Promise.resolve(tool.execute({ query: 'x' }, { ...call, signal: controller.signal }));
  controller.abort(new Error('cancelled'));
  await assert.rejects(running, /cancelled/);
});
