import { DiagLogLevel, diag } from '@opentelemetry/api';
import type { NodeSDK, tracing as sdk } from '@opentelemetry/sdk-node';
import { milliseconds } from '../core/config/language/common.ts';
import type { ObservabilityConfig } from '../core/config/language/observability.ts';
import type { Secrets } from '../core/config/secrets.ts';
import type { Logger } from '../core/logger.ts';
import { trackWork } from '../core/telemetry/work.ts';
import { within } from '../core/waiting.ts';
import { collectorUrl } from './collector-url.ts';
import { version } from './version.ts';

type TracingConfig = ObservabilityConfig['tracing'];

/** The spans of this process on their way to a collector. */
export interface Spans extends AsyncDisposable {
  /** From now on these are what nothing that is sent may hold. */
  setSecrets(secrets: Secrets): void;
}

/** Spans that wait for a collector that is slow or away; what comes on top of so many is dropped. */
const maxWaiting = 2_048;
const maxBatch = 512;
const maxAttributeLength = 20 * 1024;
const flushMs = 5_000;
/** The collector's troubles are told so often, and no more. */
const quietMs = 60_000;

/** From now on what is done is traced. The SDK is loaded here, and so costs nothing where nobody asks for it. */
export async function startTracing(config: TracingConfig, logger: Logger): Promise<Spans> {
  const { NodeSDK, tracing, resources, core, api } = await import('@opentelemetry/sdk-node');
  diag.setLogger(troubles(logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  let secrets: Secrets | undefined;
  const exporter = redacting(await exporterOf(config), (text) => secrets?.redact(text) ?? text);
  const node: NodeSDK = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': config.service_name, 'service.version': version }),
    autoDetectResources: false,
    resourceDetectors: [],
    sampler: new tracing.ParentBasedSampler({ root: new tracing.TraceIdRatioBasedSampler(config.sampling_rate) }),
    spanProcessors: [
      config.exporter === 'console' || config.exporter === 'stdout'
        ? new tracing.SimpleSpanProcessor(exporter)
        : new tracing.BatchSpanProcessor(exporter, {
            maxQueueSize: maxWaiting,
            maxExportBatchSize: maxBatch,
            exportTimeoutMillis: milliseconds(config.timeout) || 10_000,
          }),
    ],
    spanLimits: { attributeValueLengthLimit: maxAttributeLength },
    // Without baggage: what a caller puts there is not for models and the servers of others.
    textMapPropagator: new core.W3CTraceContextPropagator(),
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
  });
  node.start();
  trackWork({ tracer: api.trace.getTracer('hector', version), payloads: config.capture_payloads });
  logger.info(
    { exporter: config.exporter, endpoint: collectorUrl(config), sampling_rate: config.sampling_rate },
    'tracing',
  );
  return {
    setSecrets(next) {
      secrets = next;
    },
    async [Symbol.asyncDispose]() {
      trackWork(undefined);
      const gone = node.shutdown().catch((error: unknown) => {
        logger.warn({ err: error }, 'spans could not be sent at the end');
      });
      if (!(await within(flushMs, gone)))
        logger.warn({}, `spans could not be sent at the end within ${flushMs / 1_000} s`);
      for (const each of [api.trace, api.context, api.propagation, api.diag]) each.disable();
    },
  };
}

async function exporterOf(config: TracingConfig): Promise<sdk.SpanExporter> {
  const url = collectorUrl(config);
  const { headers, timeout } = config;
  const timeoutMillis = milliseconds(timeout) || 10_000;
  switch (config.exporter) {
    case 'otlp':
    case 'jaeger': {
      const [{ OTLPTraceExporter }, { credentials, Metadata }] = await Promise.all([
        import('@opentelemetry/exporter-trace-otlp-grpc'),
        import('@grpc/grpc-js'),
      ]);
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      const secure = url.startsWith('https:');
      return new OTLPTraceExporter({
        url,
        timeoutMillis,
        metadata,
        credentials: secure ? credentials.createSsl() : credentials.createInsecure(),
      });
    }
    case 'otlp-http': {
      const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
      return new OTLPTraceExporter({ url, timeoutMillis, headers });
    }
    case 'zipkin': {
      const { ZipkinExporter } = await import('@opentelemetry/exporter-zipkin');
      return new ZipkinExporter({ url, headers });
    }
    case 'console':
    case 'stdout':
      return new LineExporter();
  }
}

/** One line of JSON a span, on standard error: standard output is the banner's. */
class LineExporter implements sdk.SpanExporter {
  export(spans: sdk.ReadableSpan[], done: Parameters<sdk.SpanExporter['export']>[1]): void {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext();
      const line = {
        trace_id: traceId,
        span_id: spanId,
        ...(span.parentSpanContext && { parent_span_id: span.parentSpanContext.spanId }),
        name: span.name,
        ms: span.duration[0] * 1_000 + span.duration[1] / 1e6,
        status: span.status,
        attributes: span.attributes,
        ...(span.links.length > 0 && { links: span.links.map(({ context }) => context.traceId) }),
      };
      process.stderr.write(`${JSON.stringify(line)}\n`);
    }
    done({ code: 0 });
  }

  async shutdown(): Promise<void> {}
}

type Redact = (text: string) => string;

/** Nothing leaves with a secret in it, whoever has put it into a span. */
function redacting(exporter: sdk.SpanExporter, redact: Redact): sdk.SpanExporter {
  const clean = (span: sdk.ReadableSpan): sdk.ReadableSpan =>
    Object.create(span, {
      name: { value: redact(span.name) },
      attributes: { value: redactAll(span.attributes, redact) },
      status: {
        value: {
          ...span.status,
          ...(span.status.message !== undefined && { message: redact(span.status.message) }),
        },
      },
      spanContext: { value: () => span.spanContext() },
    }) as sdk.ReadableSpan;
  return {
    export: (spans, done) => exporter.export(spans.map(clean), done),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

function redactAll(attributes: sdk.ReadableSpan['attributes'], redact: Redact): sdk.ReadableSpan['attributes'] {
  const one = (value: unknown) => (typeof value === 'string' ? redact(value) : value);
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [key, Array.isArray(value) ? value.map(one) : one(value)]),
  ) as sdk.ReadableSpan['attributes'];
}

/** A collector that is away is told once in a while, and is no reason for anything else. */
function troubles(logger: Logger) {
  let silentUntil = 0;
  const tell = (message: string, ...details: unknown[]) => {
    if (Date.now() < silentUntil) return;
    silentUntil = Date.now() + quietMs;
    const reason = [message, ...details.map((detail) => (detail instanceof Error ? detail.message : String(detail)))];
    logger.warn({ reason: reason.join(' ').slice(0, 500) }, 'spans cannot be sent to the collector');
  };
  const nothing = () => {};
  return { error: tell, warn: tell, info: nothing, debug: nothing, verbose: nothing };
}
