import type { ObservabilityConfig } from '../core/config/language/observability.ts';

type Collector = Pick<ObservabilityConfig['tracing'], 'exporter' | 'endpoint' | 'insecure'>;
type Remote = Exclude<Collector['exporter'], 'console' | 'stdout'>;

const standardError = 'stderr';

/** Where spans go to when the configuration does not say, and the path that a bare host stands for. */
const places: Readonly<Record<Remote, { readonly host: string; readonly path: string }>> = {
  otlp: { host: 'localhost:4317', path: '' },
  jaeger: { host: 'localhost:4317', path: '' },
  'otlp-http': { host: 'localhost:4318', path: '/v1/traces' },
  zipkin: { host: 'localhost:9411', path: '/api/v2/spans' },
};

/** The URL that `host:port`, or a URL with or without a path, stands for. */
export function collectorUrl({ exporter, endpoint, insecure }: Collector): string {
  if (exporter === 'console' || exporter === 'stdout') return standardError;
  const { host, path } = places[exporter];
  const given = endpoint ?? host;
  const url = /^https?:\/\//.test(given) ? given : `${insecure ? 'http' : 'https'}://${given}`;
  const hasPath = /^https?:\/\/[^/]+\/./.test(url);
  return hasPath ? url : `${url.replace(/\/$/, '')}${path}`;
}
