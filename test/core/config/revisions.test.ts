import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentHash } from '../../../core/config/content-hash.ts';
import { findRevision, history, revisionContent, writeRevision } from '../../../core/config/revisions.ts';
import type { ConfigContent } from '../../../core/extension/config-provider.ts';
import { type Kept, keptInMemory } from '../../support/kept-in-memory.ts';

const { signal } = new AbortController();
const text = (of: string): ConfigContent => ({ text: `name: ${of}\n` });

function write(
  kept: Kept,
  content: ConfigContent,
  { keep = 10, at = new Date(), message = '', by = 'ann@laptop' } = {},
) {
  const current = kept.now();
  const expected = current.missing ? undefined : current.revision;
  return writeRevision({ provider: kept.provider, content, expected, current, keep, by, at, message, signal });
}

const listed = async (kept: Kept) => (await history(kept.provider, signal)).map(({ revision }) => revision);

test('the first write: one entry, with who, when, why, how much, and the text', async () => {
  const kept = keptInMemory();
  const at = new Date('2026-01-02T03:04:05.678Z');
  const written = await write(kept, text('a'), { at, message: 'first' });
  assert.deepEqual(written, { revision: '1', content_hash: contentHash(text('a')) });
  const [entry, ...others] = await history(kept.provider, signal);
  assert.ok(entry);
  assert.deepEqual(others, []);
  assert.deepEqual(entry, {
    id: `20260102T030405678Z-1-${contentHash(text('a')).slice(0, 12)}`,
    revision: '1',
    content_hash: contentHash(text('a')),
    bytes: 8,
    kind: 'document',
    pieces: 1,
    at: '2026-01-02T03:04:05.678Z',
    by: 'ann@laptop',
    message: 'first',
  });
  assert.deepEqual(await revisionContent(kept.provider, entry, signal), text('a'));
});

test('what came by other means is put into the history before it is overwritten, and says that nobody is known', async () => {
  const kept = keptInMemory({ content: text('by hand') });
  await write(kept, text('b'));
  kept.put(text('by hand again'));
  await write(kept, text('c'));
  const entries = await history(kept.provider, signal);
  assert.deepEqual(
    entries.map(({ revision, by }) => [revision, by]),
    [
      ['4', 'ann@laptop'],
      ['3', undefined],
      ['2', 'ann@laptop'],
      ['1', undefined],
    ],
  );
  const contents = await Promise.all(entries.map((entry) => revisionContent(kept.provider, entry, signal)));
  assert.deepEqual(contents, [text('c'), text('by hand again'), text('b'), text('by hand')]);
});

test('the current one and as many before it as are kept stay, whatever is written', async () => {
  const kept = keptInMemory();
  for (const name of 'abcdefg') await write(kept, text(name), { keep: 3 });
  assert.deepEqual(await listed(kept), ['7', '6', '5', '4']);
  // Texts go with their entries.
  assert.equal(kept.annex.size, 8);
});

test('with none kept nothing is written beside the configuration', async () => {
  const kept = keptInMemory({ content: text('a') });
  await write(kept, text('b'), { keep: 0 });
  assert.deepEqual([kept.now().text, kept.annex.size], ['name: b\n', 0]);
});

test('entries of a prefix and texts larger than a store’s value come back as they were', async () => {
  const kept = keptInMemory({ entries: true });
  // A character of two units where the text is cut, wherever that is.
  const entries = new Map([
    ['agents/writer', '😀'.repeat(200_001)],
    ['agents/critic', `a${'😀'.repeat(100_000)}`],
    ['server', ''],
  ]);
  await write(kept, { text: '', entries });
  await write(kept, text('b'));
  const [, entry] = await history(kept.provider, signal);
  assert.ok(entry && entry.pieces > 4);
  assert.deepEqual(await revisionContent(kept.provider, entry, signal), { text: '', entries });
  for (const value of kept.annex.values()) assert.ok(Buffer.byteLength(value) <= 384 * 1024);
});

test('a write that fails leaves what was there in the history and nothing of its own', async () => {
  const kept = keptInMemory({ content: text('a') });
  const current = kept.now();
  kept.put(text('b'));
  const options = { provider: kept.provider, content: text('mine'), expected: current.revision, current, keep: 5 };
  await assert.rejects(writeRevision({ ...options, by: 'x', at: new Date(), signal }), { code: 'conflict' });
  assert.equal(kept.now().text, 'name: b\n');
  assert.deepEqual(await listed(kept), ['1']);
});

test('a write that dies anywhere loses nothing: the next one finds what it left, and sweeps its halves away later', async () => {
  // Each text beside the configuration that it could die before.
  for (let deaths = 0; deaths < 6; deaths++) {
    const kept = keptInMemory({ content: text('a') });
    let left = deaths;
    const annex = kept.provider.annex;
    const dying = {
      ...kept.provider,
      annex: {
        ...annex,
        async write(path: string, value: string) {
          if (left-- <= 0) throw new Error('killed');
          await annex.write(path, value, signal);
        },
      },
    };
    const at = new Date('2026-01-01T00:00:00Z');
    await write({ ...kept, provider: dying }, text('b'), { at }).catch(() => undefined);
    const later = new Date('2026-01-01T01:00:00Z');
    await write(kept, text('c'), { at: later });
    const entries = await history(kept.provider, signal);
    const texts = await Promise.all(
      entries.map(async (entry) => (await revisionContent(kept.provider, entry, signal)).text),
    );
    const reached = deaths >= 2 ? ['name: b\n'] : [];
    assert.deepEqual(texts, ['name: c\n', ...reached, 'name: a\n'], `killed before text ${deaths}`);
    // Of every folder there is an `about`: nothing half-written is left after an hour.
    const folders = new Set([...kept.annex.keys()].map((path) => path.split('/')[1]));
    assert.equal(folders.size, entries.length, `killed before text ${deaths}`);
  }
});

test('a half-written entry that may still be going on is left alone', async () => {
  const kept = keptInMemory({ content: text('a') });
  const at = new Date();
  const id = `${new Date(at.getTime() - 60_000).toISOString().replace(/[-:.]/g, '')}-9-abcdefabcdef`;
  kept.annex.set(`history/${id}/document/0000`, 'half');
  await write(kept, text('b'), { at });
  assert.deepEqual(await listed(kept), ['2', '1']);
  assert.ok(kept.annex.has(`history/${id}/document/0000`));
  await write(kept, text('c'), { at: new Date(at.getTime() + 10 * 60_000) });
  assert.ok(!kept.annex.has(`history/${id}/document/0000`));
});

test('when the history cannot be written after the write, the write stands and that is told', async () => {
  const kept = keptInMemory();
  const provider = {
    ...kept.provider,
    annex: { ...kept.provider.annex, write: () => Promise.reject(new Error('full')) },
  };
  const { revision, warning } = await write({ ...kept, provider }, text('a'));
  assert.equal(revision, '1');
  assert.match(warning ?? '', /history.*full/);
});

test('the order is that of the writes, also when the clock of one machine is behind', async () => {
  const kept = keptInMemory();
  await write(kept, text('a'), { at: new Date('2026-01-01T12:00:00Z') });
  await write(kept, text('b'), { at: new Date('2026-01-01T11:00:00Z') });
  const entries = await history(kept.provider, signal);
  assert.deepEqual(
    entries.map(({ revision, at }) => [revision, at.slice(11, 13)]),
    [
      ['2', '11'],
      ['1', '12'],
    ],
  );
});

test('two that found the same unknown revision have it in the history once, by the one who wrote it if that is known', async () => {
  for (const knownFirst of [true, false]) {
    const kept = keptInMemory();
    await write(kept, text('a'), { at: new Date('2026-01-01T00:00:00.500Z') });
    const [known] = await history(kept.provider, signal);
    assert.ok(known);
    const { by: _, ...found } = known;
    const id = known.id.replace('500Z', knownFirst ? '501Z' : '499Z');
    kept.annex.set(`history/${id}/about`, JSON.stringify(found));
    assert.deepEqual(await history(kept.provider, signal), [known]);
    await write(kept, text('b'), { keep: 1 });
    assert.deepEqual(await listed(kept), ['2', '1']);
    assert.ok(!kept.annex.has(`history/${id}/about`), 'the other one goes with the next write');
  }
});

test('a revision that is a hash: what was before and comes back is a revision of its own', async () => {
  const kept = keptInMemory({ content: text('a'), hashes: true });
  await write(kept, text('b'));
  await write(kept, text('a'), { message: 'rollback' });
  const entries = await history(kept.provider, signal);
  assert.deepEqual(
    entries.map(({ content_hash }) => content_hash),
    [text('a'), text('b'), text('a')].map(contentHash),
  );
  assert.equal(findRevision(entries, '-1', kept.now().revision).content_hash, contentHash(text('b')));
});

test('a revision is found by its beginning, by that of its hash, and by how far back it is', async () => {
  const kept = keptInMemory();
  for (const name of 'abcdefghijklm') await write(kept, text(name), { keep: 20 });
  const entries = await history(kept.provider, signal);
  const found = (id: string, current = '13') => findRevision(entries, id, current).revision;
  assert.deepEqual([found('-1'), found('-2'), found('-12')], ['12', '11', '1']);
  assert.equal(found('1'), '1', 'the whole of one is not the beginning of another');
  assert.equal(found(contentHash(text('c')).slice(0, 8)), '3');
  assert.equal(found('-1', 'somebody’s'), '13', 'what was never pushed over is newer than all');
  for (const id of ['-0', '-13', 'zz', '']) assert.throws(() => found(id), { code: 'unknown_revision' });
  const ten = entries.filter(({ revision }) => revision.startsWith('1') && revision !== '1');
  assert.throws(() => findRevision(ten, '1', '13'), /"1" may be any of 13 .*, 12 .*write more/);
  assert.throws(() => findRevision([], '-1', '1'), { code: 'no_history' });
});

test('an entry whose text was changed or lost is refused', async () => {
  const kept = keptInMemory();
  await write(kept, text('a'));
  const [entry] = await history(kept.provider, signal);
  assert.ok(entry);
  const path = `history/${entry.id}/document/0000`;
  kept.annex.set(path, 'name: b\n');
  await assert.rejects(revisionContent(kept.provider, entry, signal), { code: 'history_damaged' });
  kept.annex.delete(path);
  await assert.rejects(revisionContent(kept.provider, entry, signal), { code: 'history_damaged' });
});

test('a write that was not fast enough leaves nothing in the history', async () => {
  const kept = keptInMemory({ content: text('a') });
  const current = kept.now();
  await write(kept, text('faster'));
  const options = { provider: kept.provider, content: text('slower'), expected: current.revision, current, keep: 10 };
  await assert.rejects(writeRevision({ ...options, by: 'ann', at: new Date(), signal }), { code: 'conflict' });
  assert.deepEqual(await listed(kept), ['2', '1']);
  assert.equal((await kept.provider.annex?.list('history', signal))?.length, 4);
});
