import assert from 'node:assert/strict';
import { Follower } from './config-follower.ts';
import type { WithHarness } from './config-harness.ts';
import { onlyOne, refused, write } from './config-write.ts';

/** More than any of the sources takes as one value. */
const hugeBytes = 8 * 1024 ** 2;

/** Writes of one document. */
export function testConfigWrites(withHarness: WithHarness): void {
  withHarness('a write creates, and its revision is the one that watch yields', async ({ provider }) => {
    await using follower = new Follower(provider);
    await follower.missing();
    const revision = await write(provider, { text: 'name: created\n' }, undefined);
    const document = await follower.revision(revision);
    assert.equal(document.text, 'name: created\n');
    assert.notEqual(document.missing, true);
  });

  withHarness('a write replaces the revision that it expects', async ({ provider, change }) => {
    await change('n: 0');
    await using follower = new Follower(provider);
    let { revision } = await follower.text('n: 0');
    for (let n = 1; n <= 5; n++) {
      revision = await write(provider, { text: `n: ${n}` }, revision);
      assert.equal((await follower.revision(revision)).text, `n: ${n}`);
    }
    await using again = new Follower(provider);
    assert.equal((await again.revision(revision)).text, 'n: 5', 'also for who comes later');
  });

  withHarness('a write of an empty text is a write', async ({ provider, change }) => {
    await change('n: 0');
    await using follower = new Follower(provider);
    const { revision } = await follower.text('n: 0');
    const emptied = await write(provider, { text: '' }, revision);
    const document = await follower.revision(emptied);
    assert.deepEqual([document.text, document.missing === true], ['', false]);
  });

  withHarness('a write of what is there already changes nothing that counts', async ({ provider, change }) => {
    await change('n: 0');
    await using follower = new Follower(provider);
    const { revision } = await follower.text('n: 0');
    const next = await write(provider, { text: 'n: 0' }, revision);
    assert.equal((await follower.revision(next)).text, 'n: 0');
    assert.equal((await follower.revision(await write(provider, { text: 'n: 1' }, next))).text, 'n: 1');
  });

  withHarness('a write is refused when the revision has moved', async ({ provider, change }) => {
    const revision = await write(provider, { text: 'name: mine' }, undefined);
    await change('name: theirs');
    await using follower = new Follower(provider);
    await follower.text('name: theirs');
    await refused(write(provider, { text: 'name: mine again' }, revision), 'conflict');
    await refused(write(provider, { text: 'name: mine again' }, 'no such revision'), 'conflict');
    await using after = new Follower(provider);
    assert.equal(await after.text('name: theirs'), after.documents[0], 'what they wrote stands');
  });

  withHarness('a write that creates is refused when it is there already', async ({ provider, change }) => {
    await change('');
    await refused(write(provider, { text: 'name: new' }, undefined), 'conflict');
    await change('name: theirs');
    await refused(write(provider, { text: 'name: new' }, undefined), 'conflict');
    await using follower = new Follower(provider);
    assert.equal(await follower.text('name: theirs'), follower.documents[0]);
  });

  withHarness('a write that replaces is refused when it is gone', async ({ provider, change }) => {
    const revision = await write(provider, { text: 'name: mine' }, undefined);
    await change(undefined);
    await refused(write(provider, { text: 'name: mine again' }, revision), 'conflict');
    await using follower = new Follower(provider);
    assert.equal(await follower.missing(), follower.documents[0]);
    const created = await write(provider, { text: 'name: mine' }, undefined);
    assert.equal((await follower.revision(created)).text, 'name: mine');
  });

  withHarness('of two writes at the same time exactly one goes through', async ({ provider }) => {
    let revision: string | undefined;
    for (let n = 0; n < 10; n++) {
      const texts = [`name: one ${n}`, `name: other ${n}`];
      const winner = await onlyOne(texts.map((text) => write(provider, { text }, revision)));
      revision = winner.revision;
      await using follower = new Follower(provider);
      assert.equal((await follower.revision(revision)).text, texts[winner.index]);
    }
  });

  withHarness('what is too large is refused and changes nothing', async ({ provider, change }) => {
    const huge = `text: ${'x'.repeat(hugeBytes)}`;
    await refused(write(provider, { text: huge }, undefined), 'too_large');
    await change('n: 0');
    await using follower = new Follower(provider);
    const { revision } = await follower.text('n: 0');
    await refused(write(provider, { text: huge }, revision), 'too_large');
    const next = await write(provider, { text: 'n: 1' }, revision);
    assert.equal((await follower.revision(next)).text, 'n: 1');
  });

  withHarness('a write that is aborted already does nothing', async ({ provider }) => {
    assert.ok(provider.write);
    await assert.rejects(provider.write({ text: 'n: 0' }, undefined, AbortSignal.abort()));
    await using follower = new Follower(provider);
    await follower.missing();
  });
}
