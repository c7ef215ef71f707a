const a2aJson = 'application/a2a+json';
const json = 'application/json';

/**
 * In which of its two media types the HTTP+JSON binding answers: the protocol's own, as the specification wants it, unless
 * the caller likes plain JSON better.
 */
export function answerType(accept: string | undefined): string {
  if (accept === undefined || accept === '' || accept === '*/*') return a2aJson;
  const [ours, plain] = [a2aJson, json].map((type) => quality(accept, type)) as [number, number];
  return plain > ours ? json : a2aJson;
}

/** How much a type is wanted, from 0 to 1; what names it closer counts more, as of RFC 9110. */
function quality(accept: string, type: string): number {
  const ranges = [type, 'application/*', '*/*'];
  let closest = ranges.length;
  let found = 0;
  for (const entry of accept.split(',')) {
    const [range = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    const at = ranges.indexOf(range);
    if (at === -1 || at >= closest) continue;
    closest = at;
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    found = weight === undefined ? 1 : Number(weight) || 0;
  }
  return found;
}
