import type { Random } from '../support/random.ts';

/** What a place may hold that expects something else. */
const strange: readonly unknown[] = [
  ...[null, true, false, 0, -1, -0, 1.5, 1e308, -1e308, 2 ** 31, 2 ** 53, Number.MIN_VALUE],
  ...['', ' ', '0', '-1', 'null', '\0', '\n', '\u2028', '\ud800', '😀', '../../etc/passwd', '%00', '${HOME}', '{{x}}'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'a'.repeat(300), 'a'.repeat(20_000), '9'.repeat(400)],
  ...['1970-01-01T00:00:00Z', '99999-99-99', 'data:text/plain;base64,AA==', 'file:///etc/passwd', 'http://[::1'],
  ...[
    [],
    {},
    [[]],
    [null],
    [{}],
    { '': '' },
    { length: -1 },
    JSON.parse('{"then": 1}'),
    { toString: null },
    { toJSON: 1 },
  ],
];

const strangeKeys = [
  '',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'length',
  'kind',
  '$ref',
  '\0',
  'a'.repeat(300),
];

type Holder = Record<string | number, unknown>;

interface Place {
  readonly holder: Holder;
  readonly key: string | number;
}

/** A copy in which a few places are not what they were: other values, nothing, twice, elsewhere, far too deep. */
export function mutated(random: Random, value: unknown): unknown {
  const top: Holder = { it: structuredClone(value) };
  for (let times = 1 + random.below(3); times > 0; times--) mutate(random, top);
  return top['it'];
}

function mutate(random: Random, top: Holder): void {
  const places = placesIn(top);
  const { holder, key } = random.one(places);
  const other = random.one(places);
  switch (random.below(9)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else if (holder !== top) delete holder[key];
      return;
    case 1:
      holder[key] = structuredClone(other.holder[other.key]);
      return;
    case 2:
      holder[key] = [holder[key]];
      return;
    case 3:
      holder[key] = nested(random, holder[key]);
      return;
    case 4:
      if (Array.isArray(holder)) for (let i = random.below(200); i > 0; i--) holder.push(holder[key]);
      else define(holder, random.one(strangeKeys), holder[key]);
      return;
    case 5:
      if (typeof holder[key] === 'string') holder[key] = mutatedText(random, holder[key]);
      else holder[key] = JSON.stringify(holder[key]);
      return;
    case 6: {
      if (Array.isArray(holder) || holder === top) return;
      const moved = holder[key];
      delete holder[key];
      define(holder, renamed(random, String(key)), moved);
      return;
    }
    default:
      holder[key] = structuredClone(random.one(strange));
  }
}

function placesIn(holder: Holder): Place[] {
  return Object.keys(holder).flatMap((key): Place[] => {
    const value = holder[key];
    const below = typeof value === 'object' && value !== null ? placesIn(value as Holder) : [];
    return [{ holder, key }, ...below];
  });
}

function nested(random: Random, value: unknown): unknown {
  let whole = value;
  for (let depth = random.one([2, 63, 65, 500]); depth > 0; depth--)
    whole = random.below(2) === 0 ? [whole] : { a: whole };
  return whole;
}

/** Also where the name is that of an accessor. */
function define(holder: Holder, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function renamed(random: Random, key: string): string {
  const ways = [
    key.toUpperCase(),
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    `${key} `,
    key.slice(1),
  ];
  return random.one(ways);
}

/** A text in which a few characters are not what they were. */
export function mutatedText(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  switch (random.below(6)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random.below(8));
    case 2:
      return text.slice(0, at) + String.fromCharCode(random.below(128)) + text.slice(at);
    case 3:
      return (
        text.slice(0, at) +
        random.one(['"', '{', '}', '[', ']', ':', ',', '\\', '\t', '&a', '*a', '- ', '${', '%2f', '\ufeff']) +
        text.slice(at)
      );
    case 4:
      return text.slice(0, at) + text.slice(random.below(text.length + 1));
    default:
      return text + text.slice(at);
  }
}

/** How many to try, and from where on: `FUZZ_RUNS=100000 FUZZ_SEED=7`. */
export function fuzzSettings(runs: number): { readonly runs: number; readonly seed: number } {
  return { runs: Number(process.env['FUZZ_RUNS'] ?? runs), seed: Number(process.env['FUZZ_SEED'] ?? 1) };
}
