import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import root from 'otlp-protobuf/build/src/generated/root.js';

export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly kind: number;
  readonly status: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly string[];
}

/** A collector that takes OTLP and keeps it. */
export interface OtlpReceiver extends AsyncDisposable {
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** What came with the exports. */
  readonly headers: readonly Readonly<Record<string, unknown>>[];
  readonly resources: readonly Readonly<Record<string, unknown>>[];
}

// biome-ignore lint/suspicious/noExplicitAny: what Protocol Buffers decode to.
type Decoded = any;

const { ExportTraceServiceRequest, ExportTraceServiceResponse } = (root as Decoded).opentelemetry.proto.collector.trace
  .v1;

class Kept {
  readonly spans: ReceivedSpan[] = [];
  readonly headers: Record<string, unknown>[] = [];
  readonly resources: Record<string, unknown>[] = [];

  take(bytes: Uint8Array, headers: Record<string, unknown>): void {
    this.headers.push(headers);
    const message = ExportTraceServiceRequest.toObject(ExportTraceServiceRequest.decode(bytes), { longs: Number });
    for (const { resource, scopeSpans = [] } of message.resourceSpans ?? []) {
      this.resources.push(valuesOf(resource?.attributes));
      for (const { spans = [] } of scopeSpans) this.spans.push(...spans.map(spanOf));
    }
  }
}

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');

function spanOf(span: Decoded): ReceivedSpan {
  return {
    name: span.name,
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentId: hex(span.parentSpanId),
    kind: span.kind,
    status: span.status?.code ?? 0,
    attributes: valuesOf(span.attributes),
    links: (span.links ?? []).map((link: Decoded) => hex(link.traceId)),
  };
}

function valuesOf(attributes: Decoded[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: Decoded): unknown {
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(plainValue);
  return value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue;
}

/** It takes what comes at once, and answers when `ready` says so. */
export async function otlpOverHttp(ready: Promise<void> = Promise.resolve()): Promise<OtlpReceiver> {
  const kept = new Kept();
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (request.url === '/v1/traces')
      kept.take(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body, request.headers);
    await ready;
    response.writeHead(request.url === '/v1/traces' ? 200 : 404, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...kept,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export async function otlpOverGrpc(): Promise<OtlpReceiver> {
  const kept = new Kept();
  const server = new Server();
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
  server.addService(
    {
      Export: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: (bytes: Buffer) => bytes,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (answer: object) => Buffer.from(ExportTraceServiceResponse.encode(answer).finish()),
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    } as Parameters<typeof server.addService>[0],
    {
      Export(call: Decoded, done: (error: null, answer: object) => void) {
        kept.take(call.request, call.metadata.getMap());
        done(null, {});
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    endpoint: `127.0.0.1:${port}`,
    ...kept,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
