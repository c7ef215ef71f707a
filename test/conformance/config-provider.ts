import assert from 'node:assert/strict';
import { testConfigAnnex } from './config-annex.ts';
import { Follower, waited } from './config-follower.ts';
import type { ConfigProviderHarness, WithHarness } from './config-harness.ts';
import { testConfigPrefix } from './config-prefix.ts';
import { testConfigWrites } from './config-writes.ts';

export interface ConfigProviderConformance {
  /** The runner's own: `test` of node:test, `it` of vitest. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Called for each test. */
  create(): ConfigProviderHarness | Promise<ConfigProviderHarness>;
  /** What the source cannot do. The rest is tested: what is missing fails, it is not passed over. */
  readonly without?: readonly ('prefix' | 'announce')[];
}

/** What every config provider keeps to, whatever it reads from. */
export function testConfigProvider({ test, create, without = [] }: ConfigProviderConformance): void {
  const withHarness: WithHarness = (name, run) =>
    test(`config provider: ${name}`, async () => {
      const harness = await create();
      try {
        await run(harness);
      } finally {
        await harness.dispose();
      }
    });
  testWatch(withHarness);
  testConfigWrites(withHarness);
  testConfigAnnex(withHarness, { announces: !without.includes('announce') });
  if (!without.includes('prefix')) testConfigPrefix(withHarness);
}

function testWatch(withHarness: WithHarness): void {
  withHarness('yields the document as it is now', async ({ provider, change }) => {
    await change('name: now\n');
    await using follower = new Follower(provider);
    const document = await follower.text('name: now\n');
    assert.notEqual(document.missing, true);
    assert.ok(document.source !== '', 'a document says where it came from');
    assert.ok(document.revision !== '');
    assert.equal(follower.documents[0], document, 'nothing else comes before it');
  });

  withHarness('keeps a text as it is, to the byte', async ({ provider, change }) => {
    const text = '# naïve 漢字 🦉\r\nname: "a\\tb"\n\n\tkey: \' \'  \n ';
    await change(text);
    await using follower = new Follower(provider);
    await follower.text(text);
  });

  withHarness('yields again after every change', async ({ provider, change }) => {
    await change('n: 0');
    await using follower = new Follower(provider);
    for (let n = 1; n <= 10; n++) {
      await follower.text(`n: ${n - 1}`);
      await change(`n: ${n}`);
    }
    await follower.text('n: 10');
  });

  withHarness('ends on the newest of a burst, and never goes back', async ({ provider, change }) => {
    await change('n: 0');
    await using follower = new Follower(provider);
    await follower.text('n: 0');
    for (let n = 1; n <= 50; n++) await change(`n: ${n}`);
    await follower.text('n: 50');
    const numbers = follower.documents.map(({ text }) => Number(text.replace('n: ', '')));
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
      'in the order they were written, and nothing that never was',
    );
  });

  withHarness('sees a key that is created after it began', async ({ provider, change }) => {
    await using follower = new Follower(provider);
    const nothing = await follower.missing();
    assert.equal(nothing.text, '');
    await change('name: created');
    await follower.text('name: created');
  });

  withHarness('sees it removed, created again, and emptied', async ({ provider, change }) => {
    await change('name: first');
    await using follower = new Follower(provider);
    await follower.text('name: first');
    for (const again of ['name: second', 'name: first']) {
      await change(undefined);
      assert.equal((await follower.missing()).text, '');
      await change(again);
      const document = await follower.text(again);
      assert.notEqual(document.missing, true);
    }
    await change('');
    const empty = await follower.until('an empty text', ({ text, missing }) => text === '' && missing !== true);
    assert.notEqual(empty.revision, follower.documents[0]?.revision);
    await change('name: third');
    await follower.text('name: third');
  });

  withHarness('the same revision is the same content, and another content another revision', async (harness) => {
    const { provider, change } = harness;
    await using follower = new Follower(provider);
    await follower.missing();
    for (const text of ['a: 1', 'a: 2', '', 'a: 1', undefined, 'a: 1', 'a: 12', 'a: 1 ']) {
      await change(text);
      const is = ({ text: now, missing }: { text: string; missing?: boolean }) =>
        now === (text ?? '') && (missing === true) === (text === undefined);
      const seen = await follower.until(JSON.stringify(text ?? 'nothing'), is);
      await using again = new Follower(provider);
      const read = await again.until(JSON.stringify(text ?? 'nothing'), is);
      assert.equal(read.revision, seen.revision, 'nothing has changed in between');
    }
    const contents = new Map<string, string>();
    for (const { revision, text, missing } of follower.documents) {
      const content = JSON.stringify([text, missing === true]);
      assert.equal(contents.get(revision) ?? content, content, `revision ${revision}`);
      contents.set(revision, content);
    }
  });

  withHarness('a change between two calls of next is not lost', async ({ provider, change }) => {
    await change('n: 0');
    const stop = new AbortController();
    const documents = provider.watch(stop.signal)[Symbol.asyncIterator]();
    try {
      for (let n = 0; n < 5; n++) {
        for (;;) {
          const step = await waited(documents.next(), `n: ${n}`);
          assert.ok(!step.done, 'it goes on until it is aborted');
          if (step.value.text === `n: ${n}`) break;
        }
        await change(`n: ${n + 1}`);
      }
    } finally {
      stop.abort();
      await waited(Promise.resolve(documents.return?.()), 'the end of the watch');
    }
  });

  withHarness('two watches at once see the same, and one ends without the other', async ({ provider, change }) => {
    await change('n: 0');
    await using one = new Follower(provider);
    await using other = new Follower(provider);
    await Promise.all([one.text('n: 0'), other.text('n: 0')]);
    await change('n: 1');
    const [first, second] = await Promise.all([one.text('n: 1'), other.text('n: 1')]);
    assert.equal(first.revision, second.revision);
    await one[Symbol.asyncDispose]();
    await change('n: 2');
    await other.text('n: 2');
    assert.equal(one.documents.at(-1)?.text, 'n: 1');
  });

  withHarness('returns when it is aborted: before it began, at the first document, while it waits', async (harness) => {
    const { provider, change } = harness;
    await change('n: 0');
    const before = provider.watch(AbortSignal.abort())[Symbol.asyncIterator]();
    await waited(
      (async () => {
        while (!(await before.next()).done);
      })(),
      'the end of a watch that was aborted before it began',
    );
    const stop = new AbortController();
    await waited(
      (async () => {
        for await (const _ of provider.watch(stop.signal)) stop.abort();
      })(),
      'the end of a watch that was aborted at its first document',
    );
    const follower = new Follower(provider);
    await follower.text('n: 0');
    await follower[Symbol.asyncDispose]();
  });

  withHarness('a watch that has ended leaves nothing behind', async ({ provider, change }) => {
    await change('n: 0');
    const watchOnce = async () => {
      const follower = new Follower(provider);
      await follower.text('n: 0');
      await follower[Symbol.asyncDispose]();
    };
    // What the first one opens and the others share is not left behind.
    await watchOnce();
    const before = resources();
    for (let i = 0; i < 20; i++) await watchOnce();
    const more = () => [...resources()].filter(([type, count]) => count >= (before.get(type) ?? 0) + 10);
    const deadline = Date.now() + 10_000;
    while (more().length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(more(), [], 'after twenty watches there are not ten more of anything');
  });
}

function resources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}
