import { errorMessage, HectorError } from '../core/index.ts';

export const grpcStatus = {
  deadlineExceeded: 4,
  notFound: 5,
  failedPrecondition: 9,
  outOfRange: 11,
  unavailable: 14,
} as const;

/** How a call ended, by the server's word or, for a lost connection and a deadline, by ours. */
export class GrpcError extends Error {
  readonly status: number;

  constructor(status: number, details: string, options?: ErrorOptions) {
    super(details, options);
    this.name = 'GrpcError';
    this.status = status;
  }
}

/** etcd3 keeps of it what gRPC has made of it: `14 UNAVAILABLE: etcdserver: no leader`. */
export function grpcError(error: unknown): Error {
  if (error instanceof GrpcError || error instanceof HectorError) return error;
  const said = /^(\d+) [A-Z_]+: (.*)$/s.exec(errorMessage(error));
  if (!said) return error instanceof Error ? error : new Error(errorMessage(error));
  const [, status, details = ''] = said;
  const connecting = /Last error: (?:Error(?: \[\w+\])?: )?(.*?)(?: \(\d{4}-[^()]*Z\))?\.?(?: Resolution note:.*)?$/s;
  const failed = connecting.exec(details);
  return new GrpcError(Number(status), failed?.[1] || details || `status ${status}`, { cause: error });
}

interface Refusal {
  /** What etcd, or the gRPC server in front of it, writes. */
  readonly says: RegExp;
  readonly code: string;
  readonly sentence: (user: string | undefined) => string;
}

const refusals: readonly Refusal[] = [
  {
    says: /authentication failed, invalid user ID or password/,
    code: 'forbidden',
    sentence: (user) => `does not accept the user "${user}" with this password. Correct "user" and "password"`,
  },
  {
    says: /user name is empty/,
    code: 'forbidden',
    sentence: () => 'asks who this is. Set "user" and "password", or a client certificate in "tls"',
  },
  {
    says: /permission denied/,
    code: 'forbidden',
    sentence: (user) =>
      `does not permit ${user === undefined ? 'this' : `the user "${user}"`} to do that. Grant a role that may read ` +
      'and write the key, and what is below "<key>.annex/"',
  },
  {
    says: /invalid auth token|revision of auth store is old/,
    code: 'forbidden',
    sentence: (user) => `does not accept the token that it gave to the user "${user}"`,
  },
  {
    says: /request is too large|larger than max/,
    code: 'too_large',
    sentence: () =>
      'does not take so much in one request (1.5 MiB unless its --max-request-bytes says otherwise). Use a key that ' +
      'ends in "/", with an entry for each agent',
  },
  {
    says: /too many operations in txn/,
    code: 'too_large',
    sentence: () => 'does not take 128 operations in one transaction. Leave its --max-txn-ops at 128 or more',
  },
  {
    says: /database space exceeded/,
    code: 'store_full',
    sentence: () => 'is full. Compact and defragment it, then disarm its NOSPACE alarm',
  },
];

const unverified =
  /self-signed certificate|unable to (verify the first|get (local )?issuer) certificate|certificate signature failure/i;

/** Which server, and what is wrong, for people. Our own errors are sentences already. */
export function etcdError(error: unknown, address: string, user?: string): Error {
  if (error instanceof HectorError) return error;
  const message = errorMessage(error);
  for (const { says, code, sentence } of refusals)
    if (error instanceof GrpcError && says.test(message))
      return new HectorError(code, `etcd at ${address} ${sentence(user)} (${message}).`, { cause: error });
  if (error instanceof GrpcError && !isUnreachable(error))
    return new HectorError('store_error', `etcd at ${address} refuses: ${message}.`, { cause: error });
  return new HectorError('store_unreachable', `etcd at ${address} does not answer: ${reason(error)}.`, {
    cause: error,
  });
}

/** Another member may answer where this one does not. */
export function isUnreachable(error: unknown): boolean {
  return (
    !(error instanceof GrpcError) ||
    error.status === grpcStatus.unavailable ||
    error.status === grpcStatus.deadlineExceeded
  );
}

function reason(error: unknown): string {
  const message = errorMessage(error);
  if (unverified.test(message)) return `its certificate is not signed by an authority in "tls.ca" (${message})`;
  if (/does not match certificate's altnames/.test(message))
    return `its certificate is for another name, which "tls.server_name" can say (${message})`;
  if (/wrong.version.number/i.test(message)) return 'it does not speak TLS: its address begins with "http://"';
  if (/before secure TLS connection/.test(message))
    return `it closes the connection instead of speaking TLS (${message})`;
  if (/certificate.required|bad.certificate|unknown.ca/i.test(message))
    return `it asks for another client certificate than "tls.cert" (${message})`;
  return message;
}
