import { ParameterError } from './error.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Each returns the value, or throws with the path of what is not as it must be. */

export function object(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ParameterError(path, 'must be an object', 'invalid_type');
  }
  return value as Fields;
}

export function list(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new ParameterError(path, 'must be an array', 'invalid_type');
  return value;
}

export function text(value: unknown, path: string): string {
  if (value === undefined || value === null) throw new ParameterError(path, 'is missing', 'missing_required_parameter');
  if (typeof value !== 'string') throw new ParameterError(path, 'must be a string', 'invalid_type');
  return value;
}

export function nonEmptyText(value: unknown, path: string): string {
  const given = text(value, path);
  if (given === '') throw new ParameterError(path, 'is empty');
  return given;
}

export function flag(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw new ParameterError(path, 'must be true or false', 'invalid_type');
  return value;
}

/** `null` is how some clients leave a parameter out. */
export function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}
