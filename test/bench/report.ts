import os from 'node:os';
import type { LoadMeasure } from './load.ts';
import { median } from './load.ts';
import { cores } from './process.ts';

export type Unit = 'ms' | 's' | 'req/s' | 'µs' | 'KB' | 'MB' | '×';

/** One number held against its target. A number that cannot be had on this system is `undefined`, and judges nothing. */
export interface Check {
  readonly what: string;
  readonly unit: Unit;
  readonly measured: number | undefined;
  readonly baseline?: { readonly of: string; readonly value: number | undefined };
  /** What the target is for: the measured number itself, or its ratio to or difference from the baseline. */
  readonly judged: number | undefined;
  readonly target: ({ readonly most: number } | { readonly least: number }) & {
    readonly unit: Unit;
    readonly stretch?: number;
  };
}

export interface Detail {
  readonly who: string;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number | undefined;
  readonly loadBusy: number | undefined;
}

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly checks: readonly Check[];
  readonly details?: readonly Detail[];
  /** Facts that help to read the numbers. */
  readonly notes?: readonly string[];
  /** What was wrong with the answers, not with the times. */
  readonly errors: readonly string[];
  readonly notRunnable?: string;
}

/** The share by which a check misses its target; 0 or less is a hit. */
export function missedBy({ judged, target }: Check): number {
  if (judged === undefined) return 0;
  return 'most' in target ? judged / target.most - 1 : 1 - judged / target.least;
}

export const detail = (who: string, measures: readonly LoadMeasure[]): Detail => {
  const of = (read: (measure: LoadMeasure) => number | undefined): number | undefined => {
    const values = measures.map(read).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  return {
    who,
    perSecond: of((measure) => measure.perSecond) as number,
    p50: of((measure) => measure.p50) as number,
    p99: of((measure) => measure.p99) as number,
    cpu: of((measure) => measure.cpu),
    loadBusy: of((measure) => measure.loadBusy),
  };
};

/** Asked before the bench makes load of its own. */
export const machine = () => ({
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
  cores: os.cpus().length,
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  loadAverage: os.loadavg().map((load) => Math.round(load * 100) / 100),
  pinned: cores === undefined ? 'no' : `server on core ${cores.server}, load and model on core ${cores.load}`,
});

type Machine = ReturnType<typeof machine>;

const number = (value: number): string => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, digits === 0 ? ',' : '');
};
const show = (value: number | undefined, unit: Unit): string =>
  value === undefined ? 'n/a' : `${number(value)} ${unit}`;

function targetText({ target }: Check): string {
  const bound = 'most' in target ? `≤ ${target.most} ${target.unit}` : `≥ ${target.least} ${target.unit}`;
  return target.stretch === undefined ? bound : `${bound} (${target.stretch})`;
}

function verdict(check: Check): string {
  if (check.judged === undefined) return 'not measured here';
  const missed = missedBy(check);
  return missed <= 0 ? 'ok' : `MISSED by ${(missed * 100).toFixed(missed < 0.1 ? 1 : 0)} %`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

export function text(results: readonly CaseResult[], facts: Machine): string {
  const checks = results.flatMap(({ name, checks: of }) =>
    of.map((check) => [
      `${name}: ${check.what}`,
      show(check.measured, check.unit),
      check.baseline === undefined ? '' : `${show(check.baseline.value, check.unit)} (${check.baseline.of})`,
      show(check.judged, check.target.unit),
      targetText(check),
      verdict(check),
    ]),
  );
  const details = results.flatMap(({ name, details: of }) =>
    (of ?? []).map((row) => [
      `${name}: ${row.who}`,
      number(row.perSecond),
      number(row.p50),
      number(row.p99),
      row.cpu === undefined ? 'n/a' : number(row.cpu),
      row.loadBusy === undefined ? 'n/a' : `${Math.round(row.loadBusy * 100)} %`,
    ]),
  );
  const blocks = [
    checks.length === 0 ? '' : table([['', 'measured', 'beside', 'judged', 'target (stretch)', 'verdict'], ...checks]),
    details.length === 0 ? '' : table([['', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'load core busy'], ...details]),
    results.flatMap(({ name, notes }) => (notes ?? []).map((note) => `${name}: ${note}`)).join('\n'),
    results.flatMap(({ name, errors }) => errors.map((error) => `${name}: ERROR ${error}`)).join('\n'),
    results
      .flatMap(({ name, notRunnable }) => (notRunnable === undefined ? [] : [`${name}: not runnable: ${notRunnable}`]))
      .join('\n'),
    Object.entries(facts)
      .map(([fact, value]) => `${fact} ${String(value)}`)
      .join(' · '),
    (facts.loadAverage[0] ?? 0) > facts.cores / 4
      ? 'The machine was busy with other work: of these numbers trust the memory, and the ratios a little.'
      : '',
    'Medians of interleaved rounds; a ratio or difference is the median of the rounds, so it need not be that of the medians.',
  ];
  return blocks.filter((block) => block !== '').join('\n\n');
}

export const json = (results: readonly CaseResult[], facts: Machine, options: object): string =>
  `${JSON.stringify(
    {
      date: new Date().toISOString(),
      machine: facts,
      options,
      cases: results.map((result) => ({
        ...result,
        checks: result.checks.map((check) => ({
          ...check,
          ok: check.judged === undefined ? null : missedBy(check) <= 0,
          missedBy: missedBy(check),
        })),
      })),
    },
    null,
    2,
  )}\n`;
