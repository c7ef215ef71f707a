import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { duration, section } from './common.ts';

const exporters = ['otlp', 'otlp-http', 'zipkin', 'console', 'jaeger', 'stdout'] as const;

const name = (defaultValue: string, description: string) =>
  Type.String({ pattern: '^([a-zA-Z_][a-zA-Z0-9_]*)?$', default: defaultValue, description });

export const ObservabilityConfig = section(
  {
    metrics: section(
      {
        enabled: Type.Boolean({ default: true, description: 'false: nothing is counted, and there is no endpoint' }),
        endpoint: Type.String({
          pattern: '^/[A-Za-z0-9/_.-]+$',
          default: '/metrics',
          description: 'Where Prometheus finds them',
        }),
        namespace: name('hector', 'The first part of every name'),
        subsystem: name('', 'The second part of every name'),
        const_labels: Type.Record(Type.String({ pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$' }), Type.String(), {
          default: {},
          description: 'Labels that every series has',
        }),
      },
      'What Prometheus scrapes',
    ),
    tracing: section(
      {
        enabled: Type.Boolean({ default: false }),
        exporter: Type.Enum([...exporters], {
          default: 'otlp',
          description:
            'otlp: gRPC; otlp-http: HTTP with Protocol Buffers; zipkin; console (or stdout): standard error; jaeger is otlp',
        }),
        endpoint: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              'host:port or a URL; default: localhost:4317 for otlp, localhost:4318 for otlp-http, localhost:9411 for zipkin',
          }),
        ),
        insecure: Type.Boolean({ default: true, description: 'Without TLS, where the endpoint does not say' }),
        headers: Type.Record(Type.String(), Type.String({ writeOnly: true }), {
          default: {},
          description: 'Sent with every export: credentials of the collector',
        }),
        sampling_rate: Type.Number({
          minimum: 0,
          maximum: 1,
          default: 1,
          description:
            'The share of traces that begin here and are kept; of those that begin elsewhere it is said there',
        }),
        service_name: Type.String({ minLength: 1, default: 'hector' }),
        capture_payloads: Type.Boolean({
          default: false,
          description: 'Whether messages, arguments and results of tools are in spans',
        }),
        timeout: duration('10s', 'How long one export may take'),
      },
      'What a collector is sent',
    ),
  },
  'Metrics and traces',
);
export type ObservabilityConfig = Static<typeof ObservabilityConfig>;
