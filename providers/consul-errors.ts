import { errorCode, errorMessage, HectorError } from '../core/index.ts';
import type { ConsulResponse } from './consul-api.ts';

interface Circumstances {
  readonly url: string;
  readonly datacenter?: string | undefined;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** The rule that a token must have. */
  readonly needs: string;
}

/** What an error of the package holds when the agent has answered. */
interface ResponseError {
  readonly response: ConsulResponse;
}

const unverified =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT.*)|CERT_SIGNATURE_FAILURE)$/;

/** Which agent, what is wrong and what to do about it. Our own errors are sentences already. */
export function consulError(error: unknown, circumstances: Circumstances): Error {
  if (error instanceof HectorError) return error;
  const response = responseOf(error);
  if (response) return refusal(error, response, circumstances);
  return new HectorError(
    'store_unreachable',
    `Consul at ${circumstances.url} does not answer: ${connectionProblem(error)}.`,
    { cause: error },
  );
}

/** The status that the agent answered with, of an error that `consulError` has made. */
export function refusedStatus(error: unknown): number | undefined {
  return error instanceof Error ? responseOf(error.cause)?.statusCode : undefined;
}

export function responseOf(error: unknown): ConsulResponse | undefined {
  return (error as Partial<ResponseError> | null | undefined)?.response;
}

function refusal(error: unknown, response: ConsulResponse, circumstances: Circumstances): HectorError {
  const { statusCode: status, body } = response;
  const { url, datacenter, needs } = circumstances;
  // The package leaves it out of its message.
  const text = firstLine(Buffer.isBuffer(body) || typeof body === 'string' ? String(body) : JSON.stringify(body ?? ''));
  const made = (code: string, sentence: string) =>
    new HectorError(code, `Consul at ${url} ${sentence}${text === '' ? '' : ` (${text})`}.`, { cause: error });
  if (status === 403 || /Permission denied|ACL not found/.test(text))
    return made('forbidden', `does not permit it ${with_(circumstances)}. ${advice(text, circumstances, needs)}`);
  if (status === 413)
    return made(
      'too_large',
      'does not take so much in one request. Use a key that ends in "/", with an entry for each agent',
    );
  if (/No path to datacenter/.test(text)) return made('invalid_options', `knows no datacenter "${datacenter}"`);
  if (status === 400) return made('store_error', 'does not understand the request');
  if (status === 404) return made('store_error', 'has nothing at that place. Is this the address of its HTTP API?');
  return made('store_error', `answered ${status}`);
}

const with_ = ({ token, tokenFile }: Circumstances): string => {
  if (tokenFile !== undefined) return `with the token in ${tokenFile}`;
  return token === undefined ? 'without a token' : 'with this token';
};

function advice(text: string, { token, tokenFile }: Circumstances, needs: string): string {
  if (/ACL not found/.test(text)) return 'It does not know the token: give one that exists';
  const none = token === undefined && tokenFile === undefined;
  return `${none ? 'Set "token" or "token_file" to one' : 'Give it'} that has a policy with ${needs}`;
}

function connectionProblem(error: unknown): string {
  const code = errorCode(error) ?? '';
  const message = errorMessage(error).replace(/\.$/, '');
  if (unverified.test(code))
    return `its certificate is not signed by an authority that Hector knows. Set "tls.ca" to the right one (${message})`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is for another name. Set "tls.server_name" if that is meant (${message})`;
  if (
    /CERTIFICATE_REQUIRED|certificate required|BAD_CERTIFICATE|bad certificate|UNKNOWN_CA|unknown ca/i.test(
      `${code} ${message}`,
    )
  )
    return `it does not accept the client certificate. Set "tls.cert" and "tls.key" to one that it knows (${message})`;
  if (/wrong version number|packet length too long/i.test(message))
    return `it does not speak TLS there. Is the address one for http? (${message})`;
  return message;
}

const firstLine = (text: string): string => {
  const line = text.trim().split('\n')[0] ?? '';
  return (line === '""' ? '' : line.slice(0, 300)).replace(/\.$/, '');
};
