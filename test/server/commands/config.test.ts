import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { contentHash } from '../../../core/config/content-hash.ts';
import { ConfigError } from '../../../core/config/issue.ts';
import { history } from '../../../core/config/revisions.ts';
import type { ConfigStatus } from '../../../core/config/status.ts';
import { diffCommand } from '../../../server/commands/config/diff.ts';
import { explainCommand } from '../../../server/commands/config/explain.ts';
import { historyCommand } from '../../../server/commands/config/history.ts';
import { pullCommand } from '../../../server/commands/config/pull.ts';
import { pushCommand } from '../../../server/commands/config/push.ts';
import { rollbackCommand } from '../../../server/commands/config/rollback.ts';
import { statusCommand } from '../../../server/commands/config/status.ts';
import { type Kept, keptInMemory, sourceOver } from '../../support/kept-in-memory.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
const pretty = { format: 'pretty', timeoutMs: 10_000 } as const;
const asJson = { format: 'json', timeoutMs: 10_000 } as const;

const one = `# our writers
llms: { default: { provider: echo } }
agents:
  writer:
    instruction: Write.
`;
const two = one.replace('Write.', 'Write well.\n  critic: {}');

describe('hector config', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hector-config-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  let count = 0;
  async function file(text: string): Promise<string> {
    const path = join(folder, `${++count}.yaml`);
    await writeFile(path, text);
    return path;
  }
  async function files(texts: Readonly<Record<string, string>>): Promise<string> {
    const path = join(folder, String(++count));
    for (const [name, text] of Object.entries(texts)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), text);
    }
    return path;
  }

  test('push: the plan, the write, the history; the same again changes nothing; --dry-run writes nothing', async () => {
    const kept = keptInMemory({ content: { text: one } });
    const source = sourceOver(kept);
    const path = await file(two);
    const dry = await pushCommand(source, path, { ...pretty, dryRun: true }, signal);
    assert.match(dry.stdout ?? '', /\+ agent critic\n {2}~ agent writer: instruction\nNothing was written/);
    assert.deepEqual([kept.now().text, kept.annex.size], [one, 0]);

    const pushed = await pushCommand(source, path, { ...pretty, message: 'better' }, signal);
    assert.equal(pushed.code, 0);
    assert.match(pushed.stdout ?? '', /^memory:x \(revision 1\):\n[\s\S]*Written: revision 2\.\n$/);
    assert.equal(kept.now().text, two, 'as it was written, comments and all');

    const again = await pushCommand(source, path, asJson, signal);
    const told = JSON.parse(again.stdout ?? '') as { written: boolean; revision: string; content_hash: string };
    assert.deepEqual([again.code, told.written, told.revision], [0, false, '2']);
    assert.equal(told.content_hash, contentHash({ text: two }));

    const listed = await historyCommand(source, pretty, signal);
    assert.match(listed.stdout ?? '', /\*\s+2 .* better\n\s+1 .*\(found\)/);
    const { revisions } = JSON.parse((await historyCommand(source, asJson, signal)).stdout ?? '') as {
      revisions: { revision: string; current: boolean; by?: string; message?: string }[];
    };
    assert.deepEqual(
      revisions.map(({ revision, current, message }) => [revision, current, message]),
      [
        ['2', true, 'better'],
        ['1', false, undefined],
      ],
    );
    assert.match(revisions[0]?.by ?? '', /^\S+@\S+$/);
  });

  test('push: to a key with nothing there', async () => {
    const kept = keptInMemory();
    const { code, stdout } = await pushCommand(sourceOver(kept), await file(one), pretty, signal);
    assert.equal(code, 0);
    assert.match(stdout ?? '', /there is nothing yet\):\n {2}\+ agent writer\n/);
    await assert.rejects(pullCommand(sourceOver(keptInMemory()), {}, signal), { code: 'missing' });
  });

  test('push: what is wrong is refused with its line in the file, unless it is forced; so is what is empty', async () => {
    for (const entries of [false, true]) {
      const kept = keptInMemory({ entries });
      const path = await file(one.replace('instruction', 'instruktion'));
      await assert.rejects(pushCommand(sourceOver(kept), path, pretty, signal), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, new RegExp(`^${path}:5:5 agents.writer.instruktion`));
        return true;
      });
      const broken = await file(`${one}  critic: {\n`);
      await assert.rejects(pushCommand(sourceOver(kept), broken, pretty, signal), new RegExp(`${broken}:[67]:`));
      await assert.rejects(pushCommand(sourceOver(kept), await file(' \n'), pretty, signal), { code: 'empty' });
      assert.ok(kept.now().missing);
      const forced = await pushCommand(sourceOver(kept), path, { ...pretty, force: true }, signal);
      assert.equal(forced.code, 0);
      assert.match(forced.stderr ?? '', /not valid[\s\S]*instruktion/);
      assert.ok(!kept.now().missing);
    }
  });

  test('push: a configuration that says where the configuration is does not belong into a store', async () => {
    const kept = keptInMemory();
    const path = await file(`${one}config: { provider: file, path: x.yaml }\n`);
    await assert.rejects(pushCommand(sourceOver(kept), path, pretty, signal), /says where the configuration is/);
  });

  test('push: what is there is not valid: everything counts as new, and it can be mended', async () => {
    const kept = keptInMemory({ content: { text: 'agents: [\n' } });
    const { code, stdout, stderr } = await pushCommand(sourceOver(kept), await file(one), pretty, signal);
    assert.deepEqual([code, kept.now().text], [0, one]);
    assert.match(stdout ?? '', /\+ agent writer/);
    assert.match(stderr ?? '', /has now is not valid/);
  });

  test('push --if-match another revision: exit 3, who wrote what is there, nothing written', async () => {
    const kept = keptInMemory();
    const source = sourceOver(kept);
    await pushCommand(source, await file(one), { ...pretty, message: 'mine\u001b[31m' }, signal);
    const path = await file(two);
    const refused = await pushCommand(source, path, { ...pretty, ifMatch: '77' }, signal);
    assert.equal(refused.code, 3);
    assert.match(
      refused.stderr ?? '',
      /revision 77 was expected, and it is at 1 now\.\nIt was written by \S+ \d+s ago: "mine \[31m"/,
    );
    assert.equal(kept.now().text, one);
    assert.equal((await pushCommand(source, path, { ...pretty, ifMatch: '1' }, signal)).code, 0);
  });

  test('two pushes at once: one wins, the other ends with 3 and is told who was faster and what changed', async () => {
    const kept = keptInMemory({ content: { text: one } });
    const source = sourceOver(kept);
    // Both have read, and made their plans, before either writes.
    let waiting = 0;
    let go = () => {};
    const both = new Promise<void>((resolve) => {
      go = resolve;
    });
    const together = {
      ...source,
      provider: {
        ...source.provider,
        async write(...args: Parameters<typeof kept.provider.write>) {
          if (++waiting === 2) go();
          await both;
          return kept.provider.write(...args);
        },
      },
    };
    const paths = [await file(two), await file(one.replace('Write.', 'Sing.'))];
    const results = await Promise.all(
      paths.map((path, index) => pushCommand(together, path, { ...pretty, message: `push ${index}` }, signal)),
    );
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 3]);
    const loser = results.find(({ code }) => code === 3);
    assert.match(loser?.stderr ?? '', /revision 1 was expected, and it is at 2 now/);
    assert.match(
      loser?.stderr ?? '',
      /What has changed since:\n( {2}\+ agent critic\n)? {2}~ agent writer: instruction\n/,
    );
    assert.match(loser?.stderr ?? '', /Nothing was written\. Pull it, apply your change/);
    const winner = results.findIndex(({ code }) => code === 0);
    assert.equal(kept.now().text, await readFile(paths[winner] ?? '', 'utf8'));
    const revisions = (await history(kept.provider, signal)).map(({ revision }) => revision);
    assert.deepEqual(revisions, ['2', '1']);
  });

  test('push: a change that comes between the reading and the write is not written over', async () => {
    const kept = keptInMemory({ content: { text: one } });
    const source = sourceOver(kept);
    const interrupted = {
      ...source,
      load: async (document: Parameters<typeof source.load>[0]) => {
        const snapshot = await source.load(document);
        if (kept.now().revision === '1') kept.put({ text: `${one}name: theirs\n` });
        return snapshot;
      },
    };
    const { code, stderr } = await pushCommand(interrupted, await file(two), pretty, signal);
    assert.equal(code, 3);
    assert.match(stderr ?? '', /revision 1 was expected, and it is at 2 now\.\nWhat has changed since:\n {2}~ name\n/);
    assert.equal(kept.now().text, `${one}name: theirs\n`);
  });

  test('a key that ends in "/": a file is divided, a folder is taken as it is, and pulled again it is the same', async () => {
    const kept = keptInMemory({ entries: true });
    const source = sourceOver(kept);
    assert.equal((await pushCommand(source, await file(two), pretty, signal)).code, 0);
    assert.deepEqual(
      [...(kept.now().entries ?? [])],
      [
        ['llms/default', '# our writers\n{ provider: echo }\n'],
        ['agents/writer', 'instruction: Write well.\n'],
        ['agents/critic', '{}\n'],
      ],
    );
    const target = join(folder, 'pulled/');
    const pulled = await pullCommand(source, { output: target }, signal);
    assert.match(pulled.stderr ?? '', /revision 1/);
    assert.equal(await readFile(join(target, 'agents/writer.yaml'), 'utf8'), 'instruction: Write well.\n');
    assert.match((await pushCommand(source, target, pretty, signal)).stdout ?? '', /^Nothing to change/);

    const merged = (await pullCommand(source, {}, signal)).stdout ?? '';
    assert.match(merged, /# agents\/critic\n {2}critic: \{\}/);
    const same = await pushCommand(source, await file(merged), { ...pretty, dryRun: true }, signal);
    assert.match(same.stdout ?? '', /^Nothing to change/, 'also by way of one document');

    await writeFile(join(target, 'agents/new.json'), '{ "instruction": "hi" }');
    await writeFile(join(target, 'README.md'), 'not a part');
    await writeFile(join(target, '.hidden.yaml'), 'not a part');
    await rm(join(target, 'agents/critic.yaml'));
    const changed = await pushCommand(source, target, pretty, signal);
    assert.match(changed.stdout ?? '', /\+ agent new\n {2}- agent critic\n/);
    assert.match(changed.stderr ?? '', /^README\.md is no part/);
    const once = await rollbackCommand(source, undefined, pretty, signal);
    assert.match(once.stdout ?? '', /\+ agent critic\n {2}- agent new\n/);
    const back = await pullCommand(source, { output: target }, signal);
    assert.match(back.stderr ?? '', /agents\/new\.json is not in it: a push of the folder would add it/);
  });

  test('an entry whose name leads out of the folder is not written', async () => {
    for (const path of ['../evil', 'agents/../../evil', '/evil', 'agents/.git', 'a\\b']) {
      const kept = keptInMemory({ entries: true, content: { text: '', entries: new Map([[path, 'x']]) } });
      const target = `${await files({})}/`;
      await assert.rejects(pullCommand(sourceOver(kept), { output: target }, signal), { code: 'invalid_entry' });
      await assert.rejects(readdir(target), { code: 'ENOENT' });
    }
  });

  test('two files for one entry, and a folder for a key that is one document, are refused', async () => {
    const twice = await files({ 'agents/a.yaml': '{}', 'agents/a.json': '{}' });
    const entries = sourceOver(keptInMemory({ entries: true }));
    await assert.rejects(pushCommand(entries, twice, pretty, signal), { code: 'usage' });
    const whole = sourceOver(keptInMemory({ content: { text: one } }));
    await assert.rejects(pushCommand(whole, twice, pretty, signal), { code: 'usage' });
    await assert.rejects(pullCommand(whole, { output: `${twice}/` }, signal), { code: 'usage' });
  });

  test('diff: 0 and nothing on standard output when they are the same, else 1, the plan, the lines, and no secret', async () => {
    const secret = (value: string) => one.replace('provider: echo', `provider: openai, model: x, api_key: ${value}`);
    const kept = keptInMemory({ content: { text: secret('canary-one-1234') } });
    const source = sourceOver(kept);
    const same = await diffCommand(source, await file(secret('canary-one-1234')), pretty, signal);
    assert.deepEqual([same.code, same.stdout ?? ''], [0, '']);
    const path = await file(secret('canary-two-1234').replace('Write.', 'Write well.'));
    const differs = await diffCommand(source, path, pretty, signal);
    assert.equal(differs.code, 1);
    assert.match(differs.stdout ?? '', /~ LLM default: api_key/);
    assert.match(
      differs.stdout ?? '',
      new RegExp(`--- memory:x\n\\+\\+\\+ ${path}\n@@ -1,5 \\+1,5 @@\n # our writers\n-llms.*\\*\\*\\*.*\n\\+llms`),
    );
    assert.match(differs.stdout ?? '', /- {4}instruction: Write\.\n\+ {4}instruction: Write well\.\n/);
    const json = await diffCommand(source, path, asJson, signal);
    assert.equal((JSON.parse(json.stdout ?? '') as { same: boolean }).same, false);
    assert.doesNotMatch(`${differs.stdout}${differs.stderr}${json.stdout}`, /canary/);
  });

  test('diff: entry by entry', async () => {
    const kept = keptInMemory({ entries: true });
    const source = sourceOver(kept);
    await pushCommand(source, await file(one), pretty, signal);
    const { stdout = '' } = await diffCommand(source, await file(two), pretty, signal);
    assert.match(stdout, /--- \/dev\/null\n\+\+\+ \S+\/agents\/critic\n@@ -0,0 \+1 @@\n\+\{\}\n/);
    assert.match(stdout, /--- memory:x\/agents\/writer\n/);
    assert.doesNotMatch(stdout, /llms\/default/);
  });

  test('rollback: to the one before, to one by its name, not to a bad one unless it is forced, and not without a history', async () => {
    const kept = keptInMemory();
    const source = sourceOver(kept);
    const texts = [one, two, 'agents: 5\n', `${one}# last\n`];
    for (const text of texts) await pushCommand(source, await file(text), { ...pretty, force: true }, signal);
    await assert.rejects(rollbackCommand(source, undefined, pretty, signal), ConfigError);
    assert.equal(kept.now().revision, '4');
    assert.equal((await rollbackCommand(source, '-2', pretty, signal)).code, 0);
    assert.equal(kept.now().text, two);
    const first = contentHash({ text: one }).slice(0, 10);
    const { stdout } = await rollbackCommand(source, first, asJson, signal);
    assert.deepEqual([kept.now().text, (JSON.parse(stdout ?? '') as { revision: string }).revision], [one, '6']);
    assert.match((await historyCommand(source, pretty, signal)).stdout ?? '', /rollback to 1\n.*rollback to 2\n/);
    assert.equal((await rollbackCommand(source, '3', { ...pretty, force: true }, signal)).code, 0);
    assert.equal(kept.now().text, 'agents: 5\n');
    await assert.rejects(rollbackCommand(sourceOver(kept, 0), undefined, pretty, signal), /config\.history is 0/);
    const { annex: _, ...bare } = kept.provider;
    await assert.rejects(rollbackCommand({ ...source, provider: bare }, undefined, pretty, signal), {
      code: 'no_history',
    });
  });

  test('rollback: a change that nobody pushed is undone and kept', async () => {
    const kept = keptInMemory();
    const source = sourceOver(kept);
    await pushCommand(source, await file(one), pretty, signal);
    kept.put({ text: two });
    assert.match((await historyCommand(source, pretty, signal)).stderr ?? '', /current revision 2 was not pushed/);
    await rollbackCommand(source, undefined, pretty, signal);
    assert.equal(kept.now().text, one);
    await rollbackCommand(source, undefined, pretty, signal);
    assert.equal(kept.now().text, two);
  });

  test('status: each replica, what it runs, since when, what it lacks; 0 only when all run the newest', async () => {
    const kept = keptInMemory({ content: { text: two } });
    const source = sourceOver(kept);
    assert.equal((await statusCommand(source, pretty, signal)).code, 0);
    announce(kept, 'pod-a', two, '1');
    assert.equal((await statusCommand(source, pretty, signal)).code, 0);
    announce(kept, 'pod-b', one, '0', {
      state: 'rejected',
      error: rejected(two, '1', 'first line\nsecond line'),
    });
    const { code, stdout = '' } = await statusCommand(source, pretty, signal);
    assert.equal(code, 1);
    assert.match(stdout, /^memory:x: revision 1 \([0-9a-f]{12}\)\n\nINSTANCE/);
    assert.match(stdout, /pod-a +current +1 +yes +3 +\d+s +server\.port\n/);
    assert.match(stdout, /pod-b +rejected +0 +no +3 .* first line\n/);
    kept.annex.set('replicas/pod-c', 'not JSON');
    const json = JSON.parse((await statusCommand(source, asJson, signal)).stdout ?? '') as {
      replicas: { instance: string; runs_newest: boolean; state?: string }[];
    };
    assert.deepEqual(
      json.replicas.map(({ instance, runs_newest }) => [instance, runs_newest]),
      [
        ['pod-a', true],
        ['pod-b', false],
        ['pod-c', false],
      ],
    );
    const { announce: _, ...quiet } = kept.provider.annex;
    const alone = await statusCommand({ ...source, provider: { ...kept.provider, annex: quiet } }, pretty, signal);
    assert.match(alone.stderr ?? '', /cannot say which replicas/);
  });

  test('push --wait: ends when every replica runs it', async () => {
    const kept = keptInMemory({ content: { text: one } });
    announce(kept, 'pod-a', one, '1');
    announce(kept, 'pod-b', one, '1');
    let ended = false;
    const pushing = pushCommand(sourceOver(kept), await file(two), { ...pretty, wait: true }, signal).finally(() => {
      ended = true;
    });
    await until(() => kept.now().revision === '2');
    announce(kept, 'pod-a', two, '2');
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.ok(!ended, 'pod-b is behind');
    announce(kept, 'pod-b', two, '2');
    const { code, stderr } = await pushing;
    assert.deepEqual([code, stderr], [0, 'All 2 replicas run it.\n']);
  });

  test('push --wait: a replica that refuses it ends it at once with 4, one that does not come at the timeout', async () => {
    const kept = keptInMemory({ content: { text: one } });
    const source = sourceOver(kept);
    announce(kept, 'pod-a', one, '1');
    const patient = { ...pretty, wait: true, timeoutMs: 120_000 };
    const pushing = pushCommand(source, await file(two), patient, signal);
    await until(() => kept.now().revision === '2');
    // What it refused before is not what was pushed.
    announce(kept, 'pod-a', one, '1', { error: rejected(two, '0', 'long ago') });
    await new Promise((resolve) => setTimeout(resolve, 300));
    announce(kept, 'pod-a', one, '1', { error: rejected(two, '2', 'no such model') });
    const refused = await pushing;
    assert.equal(refused.code, 4);
    assert.match(refused.stderr ?? '', /pod-a: has refused it, runs revision 1: no such model/);

    announce(kept, 'pod-a', two, '2', { watching: false });
    const late = await pushCommand(source, await file(one), { ...asJson, wait: true, timeoutMs: 300 }, signal);
    assert.equal(late.code, 4);
    assert.match(late.stderr ?? '', /pod-a: runs revision 2, and does not follow the source/);
    const { written, replicas } = JSON.parse(late.stdout ?? '') as { written: boolean; replicas: unknown[] };
    assert.deepEqual([written, replicas.length], [true, 1]);
  });

  test('push --wait where replicas cannot announce themselves is refused before anything is written', async () => {
    const kept = keptInMemory({ content: { text: one } });
    const { announce: _, ...quiet } = kept.provider.annex;
    const source = { ...sourceOver(kept), provider: { ...kept.provider, annex: quiet } };
    await assert.rejects(pushCommand(source, await file(two), { ...pretty, wait: true }, signal), { code: 'usage' });
    assert.equal(kept.now().text, one);
  });

  test('explain: where a value comes from, and no secret', async () => {
    const text = one.replace('provider: echo', 'provider: openai, model: x, api_key: "${SECRET}"');
    const source = sourceOver(keptInMemory({ content: { text } }));
    const { stdout = '' } = await explainCommand(source, 'llms.default', pretty, signal);
    assert.match(stdout, /llms\.default\.api_key +"\$\{SECRET\}" +document memory:x:2:\d+, written \$\{SECRET\}\n/);
    assert.match(stdout, /llms\.default\.temperature .*default\n|llms\.default\.max_tokens .*default\n|default\n/);
    assert.doesNotMatch(stdout, /canary/);
    await assert.rejects(explainCommand(source, 'llms.defalt', pretty, signal), /Did you mean "llms\.default"/);
  });

  test('the history keeps as many as the source says', async () => {
    const kept = keptInMemory();
    for (let round = 0; round < 6; round++)
      await pushCommand(sourceOver(kept, 2), await file(`${one}# ${round}\n`), pretty, signal);
    const entries = await history(kept.provider, signal);
    assert.deepEqual(
      entries.map(({ revision }) => revision),
      ['6', '5', '4'],
    );
  });
});

function rejected(text: string, revision: string, message: string) {
  return {
    revision,
    content_hash: contentHash({ text }),
    code: 'config',
    message,
    issues: [],
    at: new Date().toISOString(),
  };
}

/** What a replica says of itself. */
function announce(
  kept: Kept,
  instance: string,
  text: string,
  revision: string,
  more: Partial<ConfigStatus> = {},
): void {
  const status: ConfigStatus = {
    instance,
    version: '2.0.0',
    provider: 'memory',
    source: 'memory:x',
    state: 'current',
    watching: true,
    connected: true,
    serving: {
      revision,
      content_hash: contentHash({ text }),
      hash: 'x',
      generation: 3,
      at: new Date(Date.now() - 5_000).toISOString(),
      last_good: false,
      restart_required: ['server.port'],
    },
    draining: [],
    ...more,
  };
  kept.annex.set(`replicas/${instance}`, JSON.stringify(status));
}
