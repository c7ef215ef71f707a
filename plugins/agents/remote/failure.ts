import { A2AError } from '@a2a-js/sdk/errors';
import { errorCode, errorMessage, HectorError } from '../../../core/index.ts';

/**
 * `refused`: no connection, so nothing was sent. `broken`: the connection ended in the middle. `silent`: nothing came for
 * as long as `timeout` says. `status`: an answer of HTTP that says no. `protocol`: an answer that is none of A2A.
 * `too_large`: more than is taken. `failed`: the other agent says that it could not.
 */
export type RemoteFailureKind =
  | 'refused'
  | 'broken'
  | 'silent'
  | 'status'
  | 'protocol'
  | 'forbidden'
  | 'too_large'
  | 'failed';

const codes: Readonly<Record<RemoteFailureKind, string>> = {
  refused: 'remote_unreachable',
  broken: 'remote_unreachable',
  silent: 'remote_timeout',
  status: 'remote_failed',
  protocol: 'remote_protocol',
  forbidden: 'outbound_refused',
  too_large: 'remote_protocol',
  failed: 'remote_failed',
};

export class RemoteFailure extends HectorError {
  readonly kind: RemoteFailureKind;

  constructor(kind: RemoteFailureKind, message: string, options?: ErrorOptions) {
    super(codes[kind], message, options);
    this.name = 'RemoteFailure';
    this.kind = kind;
  }
}

/** Whose failure it is: the agent's name here. */
export interface Who {
  readonly name: string;
}

const longest = 1_000;

/** What the other side said, in bounds. */
export function excerpt(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}

/** `what` begins with where: `far.example:8080 answered 500`. */
export function failure({ name }: Who, kind: RemoteFailureKind, what: string, options?: ErrorOptions): RemoteFailure {
  return new RemoteFailure(kind, `The remote agent "${name}": ${what}.`.replace(/([.!?…])\.$/, '$1'), options);
}

const phrases: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host in DNS',
  EAI_AGAIN: 'DNS does not answer',
  ENETUNREACH: 'network unreachable',
  EHOSTUNREACH: 'host unreachable',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its TLS certificate is self-signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its TLS certificate is of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its TLS certificate is of an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another host',
  EPROTO: 'it does not speak TLS as expected',
  ECONNRESET: 'the connection was reset',
  UND_ERR_SOCKET: 'the connection was closed',
};

const neverConnected = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What the network did. undici says neither who nor where. `answering`: the answer had begun. */
export function networkFailure(who: Who, host: string, error: unknown, answering: boolean): RemoteFailure {
  if (errorCode(error) === 'outbound_refused') {
    return failure(who, 'forbidden', errorMessage(error).replace(/^The /, 'the '), options(error));
  }
  const { code, message } = innermost(error);
  const known = code === undefined ? undefined : phrases[code];
  const reason = known ?? (/^ERR_(SSL|TLS)/.test(code ?? '') ? `TLS failed: ${message}` : message);
  const coded = code === undefined ? reason : `${reason} (${code})`;
  if (answering)
    return failure(who, 'broken', `${host} broke off in the middle of its answer: ${coded}`, options(error));
  const kind = code !== undefined && neverConnected.has(code) ? 'refused' : 'broken';
  return failure(who, kind, `${host} cannot be reached: ${coded}`, options(error));
}

const options = (cause: unknown): ErrorOptions => ({ cause });

/** With several addresses tried, Node throws an AggregateError without a message of its own. */
function innermost(error: unknown): { readonly code: string | undefined; readonly message: string } {
  let found: unknown = error;
  for (let depth = 0; depth < 5 && found instanceof Error; depth++) {
    const inner: unknown = found instanceof AggregateError ? found.errors[0] : found.cause;
    if (!(inner instanceof Error)) break;
    found = inner;
  }
  return { code: errorCode(found), message: errorMessage(found) };
}

/** What the A2A client threw, as a failure that says who and where. */
export function clientFailure(who: Who, host: string, error: unknown): unknown {
  for (let inner: unknown = error, depth = 0; depth < 5 && inner instanceof Error; inner = inner.cause, depth++) {
    if (inner instanceof HectorError) return inner;
    if (inner instanceof A2AError) {
      const what = `${host} refused the request: ${excerpt(inner.message)} (${inner.reason})`;
      return failure(who, 'failed', what, { cause: error });
    }
  }
  const message = errorMessage(error);
  const kind = /exceeded the maximum allowed size/.test(message) ? 'too_large' : 'protocol';
  return failure(who, kind, `${host} answered with what is not A2A: ${excerpt(message)}`, { cause: error });
}

/** Whether the other side understood the request, and said no. */
export function isRefusal(error: unknown): boolean {
  return error instanceof RemoteFailure && error.kind === 'failed';
}
