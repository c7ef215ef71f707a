import assert from 'node:assert/strict';
import type { ConfigAnnex, ConfigProvider } from '../../core/index.ts';
import { Follower } from './config-follower.ts';
import type { WithHarness } from './config-harness.ts';
import { write } from './config-write.ts';

const annexOf = ({ annex }: ConfigProvider): ConfigAnnex => {
  assert.ok(annex, 'the provider has an annex');
  return annex;
};

const signal = () => AbortSignal.timeout(30_000);

/** What is kept beside the configuration. */
export function testConfigAnnex(withHarness: WithHarness, { announces }: { readonly announces: boolean }): void {
  withHarness('the annex is empty at first', async ({ provider }) => {
    const annex = annexOf(provider);
    assert.deepEqual(await annex.list('history', signal()), []);
    assert.equal(await annex.read('history/1', signal()), undefined);
    await annex.remove('history/1', signal());
    await annex.remove('history', signal());
  });

  withHarness('the annex gives a text back, the last that was written', async ({ provider }) => {
    const annex = annexOf(provider);
    for (const text of ['one', '', 'naïve 漢字 🦉\r\n']) {
      await annex.write('history/00000001-a_b.c', text, signal());
      assert.equal(await annex.read('history/00000001-a_b.c', signal()), text);
    }
  });

  withHarness('the annex lists what is below a folder, at any depth, and nothing else', async ({ provider }) => {
    const annex = annexOf(provider);
    for (const path of ['history/1', 'history/2', 'history/deep/er/3', 'histories/4', 'replicas/5'])
      await annex.write(path, path, signal());
    assert.deepEqual((await annex.list('history', signal())).toSorted(), ['1', '2', 'deep/er/3']);
    assert.deepEqual((await annex.list('history/deep', signal())).toSorted(), ['er/3']);
    assert.deepEqual(await annex.list('replicas', signal()), ['5']);
    assert.deepEqual(await annex.list('hist', signal()), []);
  });

  withHarness('the annex removes a path with everything below it, and nothing else', async ({ provider }) => {
    const annex = annexOf(provider);
    for (const path of ['history/1', 'history/10', 'history/deep/er/3', 'history/deep/4', 'replicas/5'])
      await annex.write(path, path, signal());
    await annex.remove('history/1', signal());
    assert.deepEqual((await annex.list('history', signal())).toSorted(), ['10', 'deep/4', 'deep/er/3']);
    await annex.remove('history/deep', signal());
    assert.deepEqual(await annex.list('history', signal()), ['10']);
    await annex.remove('history', signal());
    assert.deepEqual(await annex.list('history', signal()), []);
    assert.equal(await annex.read('history/10', signal()), undefined);
    assert.equal(await annex.read('replicas/5', signal()), 'replicas/5');
  });

  withHarness('the annex is no part of the document, nor the document of the annex', async (harness) => {
    const documents: readonly [ConfigProvider | undefined, ReadonlyMap<string, string> | undefined][] = [
      [harness.provider, undefined],
      [harness.prefix, new Map([['agents/writer', 'name: Writer']])],
    ];
    for (const [provider, entries] of documents) {
      if (!provider) continue;
      const annex = annexOf(provider);
      await using follower = new Follower(provider);
      await follower.missing();
      await annex.write('history/1', 'name: Old', signal());
      const revision = await write(provider, entries ? { text: '', entries } : { text: 'name: Writer' }, undefined);
      await follower.revision(revision);
      await annex.write('history/2', 'name: Older', signal());
      await using later = new Follower(provider);
      const document = await later.revision(revision);
      assert.deepEqual(document.entries && [...document.entries.keys()], entries && [...entries.keys()]);
      assert.deepEqual((await annex.list('history', signal())).toSorted(), ['1', '2']);
      assert.ok(
        follower.documents.every((each) => each.missing === true || each.revision === revision),
        'a write beside the document is no change of it',
      );
    }
  });

  if (announces) testAnnouncements(withHarness);
}

function testAnnouncements(withHarness: WithHarness): void {
  withHarness('what is announced is there, is updated, and goes when it is disposed', async ({ provider }) => {
    const annex = annexOf(provider);
    assert.ok(annex.announce, 'the provider announces');
    const [one, other] = [annex.announce('replicas/one', 'n: 1'), annex.announce('replicas/other', 'n: 2')];
    await reads(annex, 'replicas/one', 'n: 1');
    await reads(annex, 'replicas/other', 'n: 2');
    assert.deepEqual((await annex.list('replicas', signal())).toSorted(), ['one', 'other']);
    for (let n = 3; n < 10; n++) one.update(`n: ${n}`);
    await reads(annex, 'replicas/one', 'n: 9');
    await one[Symbol.asyncDispose]();
    await reads(annex, 'replicas/one', undefined);
    await reads(annex, 'replicas/other', 'n: 2');
    await other[Symbol.asyncDispose]();
    await reads(annex, 'replicas/other', undefined);
    assert.deepEqual(await annex.list('replicas', signal()), []);
  });

  withHarness('what is disposed as soon as it is announced does not stay', async ({ provider }) => {
    const annex = annexOf(provider);
    assert.ok(annex.announce, 'the provider announces');
    for (let n = 0; n < 5; n++) {
      const announcement = annex.announce('replicas/brief', 'up');
      announcement.update('going');
      await announcement[Symbol.asyncDispose]();
      assert.equal(await annex.read('replicas/brief', signal()), undefined);
    }
    await using _ = annex.announce('replicas/brief', 'up again');
    await reads(annex, 'replicas/brief', 'up again');
  });
}

async function reads(annex: ConfigAnnex, path: string, text: string | undefined): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const now = await annex.read(path, signal());
    if (now === text) return;
    if (Date.now() > deadline) assert.equal(now, text, path);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
