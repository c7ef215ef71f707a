import assert from 'node:assert/strict';
import type { ConfigContent, ConfigDocument, ConfigProvider } from '../../core/index.ts';
import { Follower } from './config-follower.ts';
import type { ConfigProviderHarness, WithHarness } from './config-harness.ts';
import { onlyOne, refused, write } from './config-write.ts';

type Entries = Readonly<Record<string, string>>;

/** More than any of the stores takes in one transaction. */
const manyEntries = 300;

/** A key that ends in `/`: its entries are one document. */
export function testConfigPrefix(withHarness: WithHarness): void {
  const withPrefix = (
    name: string,
    run: (prefix: ConfigProvider, changeEntry: NonNullable<ConfigProviderHarness['changeEntry']>) => Promise<void>,
  ) =>
    withHarness(`prefix: ${name}`, async ({ prefix, changeEntry }) => {
      assert.ok(prefix && changeEntry, 'the harness has a prefix and changes its entries');
      await run(prefix, changeEntry);
    });

  withPrefix('with nothing below it the document is missing', async (prefix, changeEntry) => {
    await using follower = new Follower(prefix);
    const nothing = await follower.missing();
    assert.deepEqual([nothing.text, entriesOf(nothing)], ['', {}]);
    await changeEntry('agents/writer', 'name: Writer');
    const something = await has(follower, { 'agents/writer': 'name: Writer' });
    assert.notEqual(something.missing, true);
    await changeEntry('agents/writer', undefined);
    await follower.missing();
  });

  withPrefix('entries are given by their paths', async (prefix, changeEntry) => {
    const entries = {
      server: 'port: 1',
      'agents/writer': 'name: naïve 漢字 🦉\r\n',
      'agents/reader': '',
      'llms/a.b-c_d': 'x',
    };
    for (const [path, text] of Object.entries(entries)) await changeEntry(path, text);
    await using follower = new Follower(prefix);
    const document = await has(follower, entries);
    assert.equal(document.text, '');
    assert.notEqual(document.missing, true);
  });

  withPrefix(
    'an entry is added, changed and removed, and no revision stands for two contents',
    async (prefix, changeEntry) => {
      await using follower = new Follower(prefix);
      await follower.missing();
      const entries: Record<string, string> = {};
      const contents = new Map<string, string>();
      const changes: readonly [string, string | undefined][] = [
        ['agents/writer', 'n: 1'],
        ['agents/reader', 'n: 1'],
        ['agents/writer', 'n: 2'],
        ['llms/fast', 'n: 1'],
        ['llms/fast', undefined],
        ['agents/writer', 'n: 1'],
        ['agents/writer', undefined],
        ['agents/writer', 'n: 1'],
      ];
      for (const [path, text] of changes) {
        await changeEntry(path, text);
        if (text === undefined) delete entries[path];
        else entries[path] = text;
        const { revision } = await has(follower, entries);
        await using again = new Follower(prefix);
        assert.equal((await has(again, entries)).revision, revision, 'nothing has changed in between');
        assert.equal(contents.get(revision) ?? sorted(entries), sorted(entries), `revision ${revision}`);
        contents.set(revision, sorted(entries));
      }
    },
  );

  withPrefix('a write puts all of it, and leaves out what it does not have', async (prefix, changeEntry) => {
    await using follower = new Follower(prefix);
    await follower.missing();
    const first = { 'agents/writer': 'n: 1', 'agents/reader': 'n: 1', server: 'port: 1' };
    let revision = await write(prefix, content(first), undefined);
    assert.deepEqual(entriesOf(await follower.revision(revision)), first);
    const second = { 'agents/reader': 'n: 1', server: 'port: 2', 'llms/fast': 'n: 1' };
    revision = await write(prefix, content(second), revision);
    assert.deepEqual(entriesOf(await follower.revision(revision)), second);
    assert.equal(await write(prefix, content(second), revision), revision, 'a write of what is there changes nothing');
    await changeEntry('llms/fast', undefined);
    ({ revision } = await has(follower, { 'agents/reader': 'n: 1', server: 'port: 2' }));
    revision = await write(prefix, content({}), revision);
    assert.equal((await follower.revision(revision)).missing, true);
    await using later = new Follower(prefix);
    await later.missing();
  });

  withPrefix('a write is refused when any entry has moved', async (prefix, changeEntry) => {
    await changeEntry('agents/writer', 'n: 1');
    await refused(write(prefix, content({ 'agents/reader': 'n: 1' }), undefined), 'conflict');
    await using follower = new Follower(prefix);
    const { revision } = await has(follower, { 'agents/writer': 'n: 1' });
    await changeEntry('llms/fast', 'n: 1');
    const now = { 'agents/writer': 'n: 1', 'llms/fast': 'n: 1' };
    await has(follower, now);
    await refused(write(prefix, content({ 'agents/writer': 'n: 2' }), revision), 'conflict');
    await changeEntry('llms/fast', undefined);
    const { revision: last } = await has(follower, { 'agents/writer': 'n: 1' });
    await changeEntry('agents/writer', undefined);
    await follower.missing();
    await refused(write(prefix, content({ 'agents/writer': 'n: 2' }), last), 'conflict');
    await using after = new Follower(prefix);
    assert.equal(await after.missing(), after.documents[0]);
  });

  withPrefix('of two writes at the same time exactly one goes through, whatever entries they touch', async (prefix) => {
    let entries: Entries = { 'agents/writer': 'n: 0', 'agents/reader': 'n: 0' };
    let revision = await write(prefix, content(entries), undefined);
    for (let n = 1; n <= 10; n++) {
      const pushes = [
        { ...entries, 'agents/writer': `n: ${n}` },
        { ...entries, 'agents/reader': `n: ${n}` },
      ];
      const winner = await onlyOne(pushes.map((each) => write(prefix, content(each), revision)));
      entries = pushes[winner.index] as Entries;
      revision = winner.revision;
      await using follower = new Follower(prefix);
      assert.deepEqual(entriesOf(await follower.revision(revision)), entries);
    }
  });

  withPrefix('entries that are written at once are never seen half written', async (prefix) => {
    await using follower = new Follower(prefix);
    await follower.missing();
    let revision: string | undefined;
    for (let n = 0; n < 30; n++) {
      revision = await write(prefix, content(numbered(5, n)), revision);
      // Now and then it catches up, so that not all of them are skipped.
      if (n % 5 === 0) await follower.revision(revision);
    }
    assert.ok(revision !== undefined);
    assert.deepEqual(entriesOf(await follower.revision(revision)), numbered(5, 29));
    neverMixed(follower, [0, 5]);
  });

  withPrefix('a write of more than one transaction takes is never seen half written', async (prefix) => {
    await using follower = new Follower(prefix);
    await follower.missing();
    let revision = await write(prefix, content(numbered(manyEntries, 0)), undefined);
    assert.deepEqual(entriesOf(await follower.revision(revision)), numbered(manyEntries, 0));
    revision = await write(prefix, content(numbered(manyEntries, 1)), revision);
    revision = await write(prefix, content(numbered(manyEntries / 2, 2)), revision);
    assert.deepEqual(entriesOf(await follower.revision(revision)), numbered(manyEntries / 2, 2));
    await using later = new Follower(prefix);
    await later.revision(revision);
    const pushes = [numbered(manyEntries, 3), numbered(manyEntries, 4)];
    const winner = await onlyOne(pushes.map((each) => write(prefix, content(each), revision)));
    assert.deepEqual(entriesOf(await follower.revision(winner.revision)), pushes[winner.index]);
    neverMixed(follower, [0, manyEntries, manyEntries / 2]);
  });

  withPrefix('an entry that is too large is refused by name, and nothing is written', async (prefix) => {
    const huge = 'x'.repeat(8 * 1024 ** 2);
    const message = await refused(
      write(prefix, content({ 'agents/reader': 'n: 1', 'agents/huge': huge }), undefined),
      'too_large',
    );
    assert.match(message, /agents\/huge/);
    await using follower = new Follower(prefix);
    assert.equal(await follower.missing(), follower.documents[0]);
  });
}

const content = (entries: Entries): ConfigContent => ({ text: '', entries: new Map(Object.entries(entries)) });

const entriesOf = ({ entries }: ConfigDocument): Entries => Object.fromEntries(entries ?? []);

const numbered = (count: number, n: number): Entries =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`agents/agent-${i}`, `n: ${n}`]));

function has(follower: Follower, entries: Entries): Promise<ConfigDocument> {
  const wanted = sorted(entries);
  return follower.until(wanted, (document) => document.missing !== true && sorted(entriesOf(document)) === wanted);
}

const sorted = (entries: Entries): string =>
  JSON.stringify(Object.entries(entries).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** All entries of a document carry the same number, and there are as many as one of the writes had. */
function neverMixed({ documents }: Follower, counts: readonly number[]): void {
  for (const { entries = new Map<string, string>() } of documents) {
    const numbers = new Set(entries.values());
    assert.ok(numbers.size <= 1, `a mixture of ${[...numbers].join(' and ')}`);
    assert.ok(counts.includes(entries.size), `${entries.size} entries are a part of a write`);
  }
}
