import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import { type A2ARequestHandler, JsonRpcTransportHandler } from '@a2a-js/sdk/server';
import { type Fields, isObject } from './shape.ts';
import type { ProtocolVersion } from './version.ts';

/** What the two versions of the protocol do not have in common. The SDK does the translation. */
export interface Wire {
  /** Fills in what the request leaves open. */
  complete(params: unknown): void;
  transport(handler: A2ARequestHandler): Pick<JsonRpcTransportHandler, 'handle'>;
  error(error: unknown): { readonly code: number; readonly message: string };
  /** A last touch to an answer that is one event of a stream. */
  event(answer: object): object;
}

export const wires: Readonly<Record<ProtocolVersion, Wire>> = {
  '1.0': {
    complete: () => {},
    transport: (handler) => new JsonRpcTransportHandler(handler),
    error: JsonRpcTransportHandler.mapToJSONRPCError,
    event: (answer) => answer,
  },
  '0.3': {
    complete: waitUnlessToldOtherwise,
    transport: (handler) => new LegacyJsonRpcTransportHandler(handler),
    error: LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError,
    event: markFinal,
  },
};

/** Like the 0.3 servers of the field. The SDK waits if there is no configuration, and does not if there is any. */
function waitUnlessToldOtherwise(params: unknown): void {
  const configuration = isObject(params) ? params['configuration'] : undefined;
  if (isObject(configuration)) (configuration as Record<string, unknown>)['blocking'] ??= true;
}

/** The last event of a stream says that it is. The SDK says so of finished tasks, not of those that wait for their caller. */
function markFinal(answer: object): object {
  const { result } = answer as { readonly result?: Record<string, unknown> };
  if (result?.['kind'] === 'status-update') {
    const { state } = result['status'] as Fields;
    if (state === 'input-required' || state === 'auth-required') result['final'] = true;
  }
  return answer;
}
