import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { type Consul, consulMissing, startConsul } from '../services/consul.ts';
import { until } from '../support/until.ts';
import { openConsul } from './consul-opened.ts';

/** A beat takes 5 s; the rest is for a busy machine. */
const soonMs = 30_000;

describe('what is announced in Consul', { skip: consulMissing }, () => {
  let consul: Consul;
  before(async () => {
    consul = await startConsul();
  });
  after(() => consul[Symbol.asyncDispose]());

  const at = (name: string) => `announce/${name}.annex/replicas/one`;
  const announced = async (name: string) => {
    const provider = await openConsul({ address: consul.address, key: `announce/${name}` });
    const announcement = provider.annex.announce?.('replicas/one', 'here');
    assert.ok(announcement);
    await until(async () => (await consul.get(at(name))) === 'here', soonMs);
    return {
      update: (text: string) => announcement.update(text),
      async [Symbol.asyncDispose]() {
        await announcement[Symbol.asyncDispose]();
        await provider[Symbol.asyncDispose]();
        assert.equal(await consul.get(at(name)), undefined);
      },
    };
  };
  const entry = async (key: string) => {
    const [found] = JSON.parse((await consul.api('GET', `kv/${encodeURIComponent(key)}`)).toString()) as {
      Session?: string;
      LockIndex: number;
    }[];
    return found;
  };

  test('comes back, with another session, when its session is destroyed', async () => {
    await using _ = await announced('destroyed');
    const before = await entry(at('destroyed'));
    assert.ok(before?.Session, 'the key is held by a session');
    await consul.api('PUT', `session/destroy/${before.Session}`);
    assert.equal(await consul.get(at('destroyed')), undefined);
    await until(async () => (await consul.get(at('destroyed'))) === 'here', soonMs);
    assert.notEqual((await entry(at('destroyed')))?.Session, before.Session);
  });

  test('comes back when somebody removes or overwrites it', async () => {
    await using announcement = await announced('removed');
    await consul.put(at('removed'), undefined);
    await until(async () => (await consul.get(at('removed'))) === 'here', soonMs);
    await consul.put(at('removed'), 'something else');
    await until(async () => (await consul.get(at('removed'))) === 'here', soonMs);
    announcement.update('there');
    await until(async () => (await consul.get(at('removed'))) === 'there', soonMs);
  });

  test('is kept up through a restart of Consul, and says what it was told meanwhile', async () => {
    await using announcement = await announced('restart');
    await consul.kill();
    announcement.update('still here');
    await consul.restart();
    await until(async () => (await consul.get(at('restart'))) === 'still here', soonMs);
  });

  test('goes within a minute of the death of its process, and not before', { timeout: 120_000 }, async () => {
    const key = 'announce/killed';
    const script = `
      const { createInstance, extensionContext } = await import('./test/support/extension.ts');
      const { default: plugin } = await import('./providers/consul.ts');
      const options = { address: '${consul.address}', key: '${key}' };
      const provider = await createInstance(plugin, options, extensionContext());
      provider.annex.announce('replicas/one', 'here');
    `;
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: 'inherit',
    });
    try {
      await until(async () => (await consul.get(`${key}.annex/replicas/one`)) === 'here', soonMs);
    } finally {
      const exited = once(holder, 'exit');
      holder.kill('SIGKILL');
      await exited;
    }
    assert.equal(await consul.get(`${key}.annex/replicas/one`), 'here');
    await until(async () => (await consul.get(`${key}.annex/replicas/one`)) === undefined, 60_000);
  });
});
