import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { caddyMissing } from '../services/caddy.ts';
import { slowedAfterWrites, straceMissing } from '../services/strace.ts';
import { proxyKinds, streams, TokenStream } from '../support/proxied.ts';
import { proxyStage } from '../support/proxy-stage.ts';
import { protocols } from '../support/through-proxy.ts';

const caddy = proxyKinds.find(({ name }) => name === 'caddy');
assert.ok(caddy);

// nginx has one thread a worker, which does one thing after the other.
describe('Caddy on a machine that is busy', { skip: caddyMissing || straceMissing }, () => {
  const stage = proxyStage(caddy);

  for (const protocol of protocols) {
    for (const name of Object.keys(streams)) {
      test(`${name} over ${protocol}: an answer that begins before Caddy has done with the request is whole`, async () => {
        await using _slowed = await slowedAfterWrites(stage.proxy.pid(), 20);
        const stream = await TokenStream.open(stage.proxy, stage.model, name, { protocol });
        stream.give();
        await stream.seen();
        assert.match(await stream.end(), /token-1\./);
      });
    }
  }
});
