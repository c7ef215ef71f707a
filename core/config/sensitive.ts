import type { JsonSchema } from './json-schema.ts';

const secretNames =
  /^(api_?key|x-api-key|((access|auth|bearer|refresh|id)_)?token|((client|webhook)_)?secret|password|passwd|private_key|dsn|(proxy-)?authorization|cookie)$/i;

/** Whether a value is one that nobody should read: its schema says so, or its name does. */
export function isSensitive(path: readonly (string | number)[], schema?: JsonSchema): boolean {
  if (schema?.writeOnly) return true;
  const name = path.findLast((step) => typeof step === 'string') as string | undefined;
  if (name === undefined) return false;
  const isKeyOfCaller =
    path[0] === 'server' && path[1] === 'auth' && (name === 'api_keys' || name === 'keys' || name === 'key');
  return isKeyOfCaller || secretNames.test(name);
}
