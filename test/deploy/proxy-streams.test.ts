import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ReverseProxy } from '../services/reverse-proxy.ts';
import type { Hector } from '../support/hector.ts';
import { proxyKinds, startBehind, streams, upstream } from '../support/proxied.ts';
import { protocols, through } from '../support/through-proxy.ts';
import { TokenModel } from '../support/token-model.ts';
import { until } from '../support/until.ts';

for (const kind of proxyKinds) {
  describe(`streams through ${kind.name}`, { skip: kind.missing }, () => {
    let model: TokenModel;
    let hector: Hector;
    let proxy: ReverseProxy;
    before(async () => {
      model = await TokenModel.start();
      hector = await startBehind(model);
      proxy = await kind.start({ upstreams: [upstream(hector)] });
    });
    after(async () => {
      await proxy[Symbol.asyncDispose]();
      await hector[Symbol.asyncDispose]();
      await model[Symbol.asyncDispose]();
    });

    for (const protocol of protocols) {
      for (const [name, { path, asked }] of Object.entries(streams)) {
        test(`${name} over ${protocol}: each token is there before the next is given`, async () => {
          const begun = through(proxy, path, { ...asked(), protocol });
          const answering = await model.next();
          answering.give('token-0.');
          const answer = await begun;
          assert.equal(answer.status, 200);
          assert.equal(answer.headers['content-type'], 'text/event-stream');
          assert.equal(answer.headers['content-encoding'], undefined);
          for (let n = 1; n <= 10; n++) {
            await until(() => answer.text().includes(`token-${n - 1}.`));
            answering.give(`token-${n}.`);
          }
          answering.end();
          assert.match(await answer.ended, /token-10\./);
        });
      }
    }
  });
}
