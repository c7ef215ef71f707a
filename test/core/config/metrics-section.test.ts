import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, problems } from '../../support/stand-ins.ts';

const document = (metrics: string) => `agents: { a: {} }
llms: { default: { provider: echo } }
observability:
  metrics: ${metrics}
`;

test('a label that metrics have already is refused by its name, as are those of Prometheus', async () => {
  assert.deepEqual(await problems(document('{ const_labels: { team: blue, agent: x, le: "1", __name__: y } }')), [
    'hector.yaml:4:42 observability.metrics.const_labels.agent: metrics have a label "agent" already. Call yours something else',
    'hector.yaml:4:52 observability.metrics.const_labels.le: metrics have a label "le" already. Call yours something else',
    'hector.yaml:4:61 observability.metrics.const_labels.__name__: Prometheus keeps labels that begin with "__" for itself. Call it otherwise',
  ]);
  const { config } = await load(document('{ const_labels: { team: blue, region: "eu \\"1\\"" } }'));
  assert.deepEqual(config.observability.metrics.const_labels, { team: 'blue', region: 'eu "1"' });
});

test('the endpoint is a path that nothing else is served at', async () => {
  for (const endpoint of ['/agents', '/v1/models', '/mcp', '/api/metrics', '/health', '/.well-known/metrics'])
    assert.deepEqual(await problems(document(`{ endpoint: ${endpoint} }`)), [
      `hector.yaml:4:14 observability.metrics.endpoint: something else is served at ${endpoint}. Choose another path, like /metrics`,
    ]);
  for (const endpoint of ['/internal/metrics', '/healthy'])
    assert.equal((await load(document(`{ endpoint: ${endpoint} }`))).config.observability.metrics.endpoint, endpoint);
});
