import type { ParameterizedContext } from 'koa';
import { sendJson } from '../a2a/reply.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

const errors = {
  parseError: { status: 400, code: -32700 },
  invalidRequest: { status: 400, code: -32600 },
  methodNotFound: { status: 404, code: -32601 },
  invalidParams: { status: 400, code: -32602 },
} as const;

/** Answers with a JSON-RPC error, under the HTTP status that MCP has for it. */
export function refuse(
  ctx: ParameterizedContext,
  error: keyof typeof errors,
  message: string,
  request: JsonObject = {},
) {
  const { status, code } = errors[error];
  const { id } = request;
  const known = typeof id === 'string' || typeof id === 'number' ? id : null;
  sendJson(ctx, status, JSON.stringify({ jsonrpc: '2.0', id: known, error: { code, message } }));
}
