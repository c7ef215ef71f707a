import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Secrets } from '../../core/config/secrets.ts';
import { createOutbound } from '../../core/net/outbound.ts';
import { traceHeaders, traceIds, Work } from '../../core/telemetry/work.ts';
import { startTracing } from '../../server/tracing.ts';
import { otlpOverHttp } from '../support/otlp-receiver.ts';
import { listLogger } from '../support/serving.ts';
import { until } from '../support/until.ts';
import { redirect, webServer } from '../support/web-server.ts';

type Lines = Parameters<typeof listLogger>[0];

const config = (endpoint: string, more: object = {}): Parameters<typeof startTracing>[0] => ({
  enabled: true,
  exporter: 'otlp-http',
  endpoint,
  insecure: true,
  headers: {},
  sampling_rate: 1,
  service_name: 'hector',
  capture_payloads: false,
  timeout: '10s',
  ...more,
});

const step = (name: string) => Work.run(name, {}, async () => traceIds());

test('where nobody asks for traces there is no work to tell of, and nothing is sent along', async () => {
  assert.equal(Work.begin('a'), undefined);
  assert.equal(traceHeaders(), undefined);
  assert.deepEqual(await step('a'), {});
});

test('half of the traces are kept whole where the rate is 0.5', async () => {
  await using receiver = await otlpOverHttp();
  {
    await using _ = await startTracing(config(receiver.endpoint, { sampling_rate: 0.5 }), listLogger([]));
    for (let at = 0; at < 400; at++) await Work.run('outer', {}, () => step('inner'));
  }
  const named = (name: string) => receiver.spans.filter((span) => span.name === name);
  const kept = named('outer').length;
  // 10 standard deviations of 400 throws of a coin.
  assert.ok(kept > 100 && kept < 300, `${kept} of 400`);
  assert.deepEqual(
    new Set(named('inner').map(({ traceId }) => traceId)),
    new Set(named('outer').map((s) => s.traceId)),
  );
});

test('Zipkin gets its JSON, with the headers of the configuration and without secrets', async () => {
  await using zipkin = await webServer((_, response) => response.writeHead(202).end());
  const endpoint = `127.0.0.1:${zipkin.port}`;
  {
    const headers = { 'x-team': 'blue' };
    await using spans = await startTracing(config(endpoint, { exporter: 'zipkin', headers }), listLogger([]));
    spans.setSecrets(new Secrets(['canary-4711']));
    await Work.run('outer canary-4711', { attributes: { note: 'canary-4711' } }, () => step('inner'));
  }
  const [request] = zipkin.requests;
  assert.equal(request?.path, '/api/v2/spans');
  assert.equal(request?.headers['x-team'], 'blue');
  assert.ok(!request.body.includes('canary'));
  const spans = JSON.parse(request.body) as { name: string; id: string; parentId?: string; localEndpoint: object }[];
  const outer = spans.find(({ name }) => name === 'outer ***');
  assert.equal(spans.find(({ name }) => name === 'inner')?.parentId, outer?.id);
  assert.deepEqual(outer?.localEndpoint, { serviceName: 'hector' });
});

test('of what a collector that is slow does not take, no more than 2,048 spans wait', async () => {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  await using receiver = await otlpOverHttp(opened);
  {
    await using _ = await startTracing(config(receiver.endpoint), listLogger([]));
    for (let at = 0; at < 600; at++) await step('early');
    await until(() => receiver.spans.length > 0);
    for (let at = 0; at < 20_000; at++) await step('late');
    open();
  }
  const late = receiver.spans.filter(({ name }) => name === 'late').length;
  assert.ok(late > 0 && late <= 2_048, `${late} of 20,000`);
});

test('a collector that never answers does not keep the process from its end, and the log says so', async () => {
  await using receiver = await otlpOverHttp(new Promise(() => {}));
  const lines: Lines = [];
  {
    await using _ = await startTracing(config(receiver.endpoint, { timeout: '60s' }), listLogger(lines));
    await step('a');
  }
  assert.deepEqual(
    lines.filter(({ level }) => level === 'warn').map(({ message }) => message),
    ['spans could not be sent at the end within 5 s'],
  );
});

test('a collector that is not there is told of once, without the headers', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  const lines: Lines = [];
  {
    const headers = { authorization: 'Bearer canary-4711' };
    await using _ = await startTracing(config(`127.0.0.1:${port}`, { timeout: '200ms', headers }), listLogger(lines));
    for (let at = 0; at < 2_000; at++) await step('a');
    await until(() => lines.some(({ level }) => level === 'warn'));
  }
  const warnings = lines.filter(({ message }) => message === 'spans cannot be sent to the collector');
  assert.equal(warnings.length, 1, JSON.stringify(lines));
  assert.ok(!JSON.stringify(lines).includes('canary'));
});

test('a trace goes on where the configuration has sent us, and not where that redirects to', async () => {
  await using receiver = await otlpOverHttp();
  await using elsewhere = await webServer();
  await using here = await webServer(redirect(`${elsewhere.url}/there`));
  await using tracing = await startTracing(config(receiver.endpoint), listLogger([]));
  assert.ok(tracing);
  const outbound = createOutbound({ allow: ['127.0.0.1'] });
  await using client = outbound.client({ configured: [here.url] });
  const headers = { traceparent: 'of somebody else' };
  const trace = await Work.run('outer', {}, async () => {
    await (await client.fetch(here.url, { headers })).text();
    return traceIds();
  });
  assert.equal(here.requests[0]?.headers['traceparent'], `00-${trace.trace_id}-${trace.span_id}-01`);
  assert.equal(elsewhere.requests[0]?.headers['traceparent'], undefined);
  await (await client.fetch(here.url)).text();
  assert.equal(here.requests[1]?.headers['traceparent'], undefined, 'outside of any work there is no trace');
});

test('within a trace that is not kept nothing is begun, and whoever is asked is told that it is not', async () => {
  await using receiver = await otlpOverHttp();
  await using tracing = await startTracing(config(receiver.endpoint, { sampling_rate: 0 }), listLogger([]));
  assert.ok(tracing);
  await Work.run('outer', {}, async () => {
    assert.equal(Work.begin('inner'), undefined);
    const { trace_id, span_id } = traceIds();
    assert.equal(traceHeaders()?.['traceparent'], `00-${trace_id}-${span_id}-00`);
    const apart = Work.begin('apart', { apart: true });
    assert.ok(apart, 'what is apart has a word of its own');
    assert.notEqual(apart.within(traceIds).trace_id, trace_id);
    const kept = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    const other = Work.begin('other', { from: kept });
    assert.ok(other?.within(() => Work.begin('inner of the other')));
  });
});
