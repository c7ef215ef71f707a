import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectorUrl } from '../../server/collector-url.ts';

const table = [
  ['otlp', undefined, true, 'http://localhost:4317'],
  ['otlp', undefined, false, 'https://localhost:4317'],
  ['otlp', 'collector:4317', true, 'http://collector:4317'],
  ['otlp', 'collector:4317', false, 'https://collector:4317'],
  ['otlp', 'https://collector:4317', true, 'https://collector:4317'],
  ['otlp', 'http://collector:4317/', false, 'http://collector:4317'],
  ['jaeger', undefined, true, 'http://localhost:4317'],
  ['otlp-http', undefined, true, 'http://localhost:4318/v1/traces'],
  ['otlp-http', 'collector:4318', true, 'http://collector:4318/v1/traces'],
  ['otlp-http', 'collector:4318', false, 'https://collector:4318/v1/traces'],
  ['otlp-http', 'https://collector/', true, 'https://collector/v1/traces'],
  ['otlp-http', 'https://collector/otlp/v1/traces', true, 'https://collector/otlp/v1/traces'],
  ['otlp-http', '[::1]:4318', true, 'http://[::1]:4318/v1/traces'],
  ['zipkin', undefined, true, 'http://localhost:9411/api/v2/spans'],
  ['zipkin', 'zipkin:9411', true, 'http://zipkin:9411/api/v2/spans'],
  ['zipkin', 'http://zipkin:9411/zip', true, 'http://zipkin:9411/zip'],
  ['console', undefined, true, 'stderr'],
  ['stdout', undefined, false, 'stderr'],
] as const;

for (const [exporter, endpoint, insecure, url] of table) {
  test(`${exporter} at ${endpoint ?? 'the default'}${insecure ? '' : ', with TLS'}: ${url}`, () => {
    assert.equal(collectorUrl({ exporter, insecure, ...(endpoint !== undefined && { endpoint }) }), url);
  });
}
