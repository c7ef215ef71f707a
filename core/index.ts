/** What `import … from 'hector'` gives: the contracts that plugins are written against. */
export type { Static, TSchema } from 'typebox';
export * from './a2a.ts';
export {
  byteSize,
  bytes,
  coming,
  duration,
  milliseconds,
  optionalDuration,
  section,
} from './config/language/common.ts';
export type { DocumentStoreSettings } from './config/language/document-store.ts';
export { LlmRetries, LlmTimeouts } from './config/language/llm.ts';
export { ApiKey } from './config/language/server.ts';
export * from './errors.ts';
export type * from './extension/agent.ts';
export * from './extension/auth-scheme.ts';
export type * from './extension/config-provider.ts';
export type * from './extension/counter-store.ts';
export type * from './extension/document-store.ts';
export type * from './extension/llm-provider.ts';
export type * from './extension/points.ts';
export * from './extension/protocol-extensions.ts';
export type * from './extension/run-store.ts';
export type * from './extension/secret-store.ts';
export type * from './extension/storage-backend.ts';
export type * from './extension/toolset.ts';
export { type Logger, silentLogger } from './logger.ts';
export * from './message.ts';
export { messageFromJson, messageToJson } from './message-json.ts';
export type {
  GuardedFetch,
  Outbound,
  OutboundClient,
  OutboundClientOptions,
  OutboundInit,
} from './net/outbound.ts';
export * from './plugin/definition.ts';
export { filePath, modulePath, reference, references } from './plugin/reference.ts';
export { Type } from './plugin/type.ts';
export { foldChanges } from './task/fold.ts';
export { traceHeaders } from './telemetry/work.ts';
export { TextBuilder } from './text-builder.ts';
export { unlessAborted } from './waiting.ts';
