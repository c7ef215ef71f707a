import type { JsonSchema } from './json-schema.ts';
import type { Secrets } from './secrets.ts';

const names =
  '(?!first_token\\b)(?:\\w+_)?(?:api_?key|access_?key|private_?key|secret_?key|token|secret|password|passwd|dsn)|x-api-key|(?:proxy-)?authorization|cookie';
const secretNames = new RegExp(`^(?:${names})$`, 'i');
/** Such a name and its value, in a text that may be no YAML. What begins with a dollar is a reference. */
const written = new RegExp(
  `((?<![\\w-])["']?(?:${names})["']?[ \\t]*:[ \\t]*)("(?!\\$)(?:\\\\.|[^"\\\\\\n])*"?|'(?!\\$)(?:''|[^'\\n])*'?|[^\\s"'$\\[{,#}][^\\n,#}]*)`,
  'gi',
);

/** A document as it may be shown: each secret in it, known or behind a telling name, as so many stars. */
export function showable(text: string, secrets: Secrets): string {
  return secrets.mask(text).replace(written, (_, name: string, value: string) => name + value.replace(/[^\s"']/g, '*'));
}

/** Whether a value is one that nobody should read: its schema says so, or its name does. */
export function isSensitive(path: readonly (string | number)[], schema?: JsonSchema): boolean {
  if (schema?.writeOnly) return true;
  const name = path.findLast((step) => typeof step === 'string') as string | undefined;
  if (name === undefined) return false;
  const isKeyOfCaller =
    path[0] === 'server' && path[1] === 'auth' && (name === 'api_keys' || name === 'keys' || name === 'key');
  return isKeyOfCaller || secretNames.test(name);
}
