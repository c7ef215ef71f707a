import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { etcdMissing, startEtcd } from '../../services/etcd.ts';
import { command, serveCommand } from '../../support/command-line.ts';

const one = 'llms: { default: { provider: echo } }\nagents: { writer: { instruction: Write. } }\n';
const files = {
  'one.yaml': one,
  'two.yaml': one.replace('Write.', 'Write well.'),
  'bad.yaml': one.replace('instruction: Write.', 'tools: [nope]'),
};

describe('a fleet', { skip: etcdMissing }, () => {
  test('two replicas and the command line: a push reaches both, a bad one is told and rolled back', async () => {
    await using etcd = await startEtcd();
    const env = {
      HECTOR_CONFIG_PROVIDER: 'etcd',
      HECTOR_CONFIG_ADDRESS: etcd.url,
      HECTOR_CONFIG_KEY: 'fleet/parts/',
    };
    const hector = (...args: string[]) => command(['config', ...args], { files, env });
    const waiting = ['--wait', '--timeout', '60s'];
    assert.equal((await hector('push', 'one.yaml')).code, 0);
    await using a = await serveCommand(['--watch'], { env });
    await using b = await serveCommand(['--watch'], { env });

    const pushed = await hector('push', 'two.yaml', ...waiting);
    assert.equal(pushed.code, 0);
    assert.match(pushed.stderr, /^Waiting until every replica runs revision \S+ …\nAll 2 replicas run it\.\n$/);
    const status = await hector('status', '--format', 'json');
    const { revision, replicas } = JSON.parse(status.stdout) as {
      revision: string;
      replicas: { runs_newest: boolean; serving: { revision: string } }[];
    };
    assert.equal(status.code, 0);
    assert.deepEqual(
      replicas.map(({ runs_newest, serving }) => [runs_newest, serving.revision]),
      [
        [true, revision],
        [true, revision],
      ],
    );

    // Whether there is such a tool is known once it is built, which a push does.
    const refused = await hector('push', 'bad.yaml', ...waiting);
    assert.equal(refused.code, 1, refused.stderr);
    const bad = await hector('push', 'bad.yaml', '--force', ...waiting);
    assert.equal(bad.code, 4, bad.stderr);
    assert.match(bad.stderr, new RegExp(`has refused it, runs revision ${revision}: .*no tool is named "nope"`));
    const behind = await hector('status');
    assert.equal(behind.code, 1);
    assert.match(behind.stdout, /rejected .* no .*no tool is named "nope"/);
    assert.equal((await hector('rollback', ...waiting)).code, 0);
    assert.equal((await hector('status')).code, 0);
    for (const replica of [a, b]) assert.equal((await fetch(`${replica.url}/health/ready`)).status, 200);
  });
});
