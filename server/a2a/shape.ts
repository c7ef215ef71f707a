import { invalidParams } from './errors.ts';

/** Throws `invalidParams` with the path of the first thing that is wrong. */
export type Check = (value: unknown, path: string) => void;
export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const anything: Check = () => {};

export const text: Check = (value, path) => {
  if (typeof value !== 'string') throw invalidParams(path, 'must be a string');
};

export const flag: Check = (value, path) => {
  if (typeof value !== 'boolean') throw invalidParams(path, 'must be true or false');
};

export const record: Check = (value, path) => {
  if (!isObject(value)) throw invalidParams(path, 'must be an object');
};

/** What is kept and looked up by: long enough for every scheme in use, and short enough for every store's index. */
const maxIdLength = 512;

/** An optional identifier may be empty, which is how some clients say that there is none. */
export const optionalId: Check = (value, path) => {
  text(value, path);
  if ((value as string).length > maxIdLength) throw invalidParams(path, `is longer than ${maxIdLength} characters`);
};

export const id: Check = (value, path) => {
  optionalId(value, path);
  if (value === '') throw invalidParams(path, 'is empty');
};

export const base64: Check = (value, path) => {
  text(value, path);
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(value as string)) throw invalidParams(path, 'is not base64');
};

export const timestamp: Check = (value, path) => {
  text(value, path);
  if (Number.isNaN(Date.parse(value as string))) {
    throw invalidParams(path, 'is not a point in time such as 2026-01-31T12:00:00Z');
  }
};

export function integer(minimum: number, maximum = Number.MAX_SAFE_INTEGER): Check {
  const range = maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
  return (value, path) => {
    if (!Number.isSafeInteger(value) || (value as number) < minimum || (value as number) > maximum) {
      throw invalidParams(path, `must be a whole number ${range}`);
    }
  };
}

/** `also` is accepted and not named in the message. */
export function oneOf(values: readonly string[], also: readonly unknown[] = []): Check {
  return (value, path) => {
    if (!values.includes(value as string) && !also.includes(value)) {
      throw invalidParams(path, `must be ${values.map((known) => `"${known}"`).join(' or ')}`);
    }
  };
}

export function list(item: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) throw invalidParams(path, 'must be a list');
    for (let at = 0; at < value.length; at++) item(value[at], `${path}[${at}]`);
  };
}

export function nonEmptyList(item: Check): Check {
  const items = list(item);
  return (value, path) => {
    items(value, path);
    if ((value as readonly unknown[]).length === 0) throw invalidParams(path, 'is empty');
  };
}

interface ObjectShape {
  readonly required?: Readonly<Record<string, Check>>;
  readonly optional?: Readonly<Record<string, Check>>;
}

/**
 * An object of the protocol. `null` is the same as absent, a name may be spelled `messageId` or `message_id`, and unknown
 * names are left alone: so says the JSON form of Protocol Buffers. What reads it afterwards need not know: it finds the first
 * spelling.
 */
export function object({ required = {}, optional = {} }: ObjectShape): Check {
  const fields = [
    ...Object.entries(required).map(([name, check]) => ({ name, snake: snakeCase(name), check, needed: true })),
    ...Object.entries(optional).map(([name, check]) => ({ name, snake: snakeCase(name), check, needed: false })),
  ];
  return (value, path) => {
    if (!isObject(value)) throw invalidParams(path || 'params', 'must be an object');
    for (const { name, snake, check, needed } of fields) {
      const field = value[name] ?? value[snake];
      if (field !== value[name]) (value as Record<string, unknown>)[name] = field;
      if (field !== undefined && field !== null) check(field, path === '' ? name : `${path}.${name}`);
      else if (needed) throw invalidParams(path === '' ? name : `${path}.${name}`, 'is missing');
    }
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
