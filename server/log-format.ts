import type { HectorConfig } from '../core/config/language/hector.ts';
import type { DescribedError } from './log-error.ts';

/** From pino's line of JSON to the line that is written. Both end in a newline. */
export type LineFormat = (json: string) => string;

export function lineFormat(format: HectorConfig['logger']['format'], color: boolean): LineFormat {
  if (format === 'json') return (json) => json;
  const time = format === 'verbose';
  return (json) => forPeople(json, { time, color: color && format === 'verbose' });
}

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg?: string;
  readonly err?: DescribedError;
  readonly [field: string]: unknown;
}

const colors: Readonly<Record<string, string>> = {
  debug: '\u001b[90m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};
const reset = '\u001b[0m';

function forPeople(json: string, show: { readonly time: boolean; readonly color: boolean }): string {
  const { level, time, msg = '', err, ...fields } = JSON.parse(json) as Line;
  const name = level.toUpperCase().padEnd(5);
  const words = [show.color ? `${colors[level] ?? ''}${name}${reset}` : name, msg];
  if (show.time) words.unshift(time);
  for (const [key, value] of Object.entries(fields)) words.push(`${key}=${valueText(value)}`);
  if (err) words.push(`err=${valueText(chain(err))}`);
  const stack = err === undefined ? '' : stackText(err);
  return `${words.join(' ')}\n${stack}`;
}

/** `could not connect: connect ECONNREFUSED 127.0.0.1:5432` */
function chain(error: DescribedError): string {
  const own = error.type === 'Error' || error.code !== undefined ? error.message : `${error.type}: ${error.message}`;
  return error.cause === undefined || own.includes(error.cause.message) ? own : `${own}: ${chain(error.cause)}`;
}

/** An error with a code was foreseen and says enough; of another one wants to know where it came from. */
function stackText(error: DescribedError): string {
  if (error.code !== undefined || error.stack === undefined) return '';
  const frames = error.stack.split('\n').filter((line) => line.trimStart().startsWith('at '));
  return frames.map((frame) => `      ${frame.trim()}\n`).join('');
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return typeof value !== 'string' || /^[\w.:/@+*-]+$/.test(text) ? text : JSON.stringify(text);
}
