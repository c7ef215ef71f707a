import type { Breaches } from './ledger.ts';
import type { Measurement } from './server.ts';
import type { SoakOptions } from './soak.ts';

/** What a soak has seen. */
export interface Report {
  readonly options: SoakOptions;
  readonly seconds: number;
  readonly reloads: number;
  /** From written to said to serve, in milliseconds. */
  readonly latencies: readonly number[];
  /** How many of each kind of request were answered. */
  readonly answers: Readonly<Record<string, number>>;
  readonly breaches: Breaches;
  readonly examples: readonly string[];
  readonly streamsEnded: number;
  /** During one long stream, at the least. */
  readonly fewestReloads: number | undefined;
  /** Under load, by the number of reloads. */
  readonly measurements: ReadonlyMap<number, Measurement>;
  /** The reload whose measurement later ones are compared with. */
  readonly measureAt: number;
  /** With nothing under way, before the load and after it. */
  readonly idle: { readonly before: Measurement; readonly after: Measurement | undefined };
  readonly metrics: {
    readonly succeeded: number;
    readonly rejected: number;
    readonly unreadable: number;
    readonly expired: number;
  };
  /** What the server has logged. */
  readonly log: string;
  readonly exitCode: number | null;
  /** Why it was not run to its end. */
  readonly problem: string | undefined;
}

const MB = 1e6;
const longRun = 200;

/** Everything that is wrong with what was seen, a sentence each. Nothing: the rules hold. */
export function verdict(report: Report): readonly string[] {
  const { breaches, options, problem, metrics } = report;
  const wrong: string[] = [];
  const expect = (holds: boolean, sentence: string) => {
    if (!holds) wrong.push(sentence);
  };
  if (problem !== undefined) wrong.push(problem);
  expect(breaches.failed === 0, `${breaches.failed} requests failed`);
  expect(breaches.cut === 0, `${breaches.cut} streams were cut`);
  expect(breaches.mixed === 0, `${breaches.mixed} answers were mixed from several revisions`);
  expect(breaches.stale === 0, `${breaches.stale} answers came from a revision that was already replaced`);
  if (!options.drain) return wrong;

  expect(report.reloads >= options.reloads, `only ${report.reloads} of ${options.reloads} reloads came about`);
  expect(metrics.succeeded === report.reloads, `${report.reloads} reloads, and /metrics has ${metrics.succeeded}`);
  expect(metrics.rejected === 0, `${metrics.rejected} configurations were refused`);
  expect(metrics.unreadable === 0, `${metrics.unreadable} configurations could not be read`);
  expect(metrics.expired === 0, `${metrics.expired} generations were ended early`);
  expect(
    options.streams === 0 || (report.fewestReloads ?? 0) > 0,
    'a stream ended without one reload: this has proved little',
  );
  expect(report.exitCode === 0, `the server ended with ${report.exitCode}`);
  return [...wrong, ...leaks(report)];
}

/** Growth from the reload that is the mark to the last one, and from before the load to after it. */
function leaks({ reloads, measurements, measureAt, idle }: Report): string[] {
  const wrong: string[] = [];
  const flat = (what: string, before: number, after: number, slack: number) => {
    if (after > before + slack) wrong.push(`${what} grew from ${before} to ${after}`);
  };
  const bytes = (what: string, before: number, after: number) => {
    if (after > Math.max(before * 1.1, before + 15 * MB))
      wrong.push(`${what} grew from ${megabytes(before)} to ${megabytes(after)}`);
  };
  const mark = measurements.get(measureAt);
  const last = [...measurements.values()].at(-1);
  if (mark && last) {
    // A short run is over before the process has all the memory that it works with.
    if (reloads >= longRun) bytes('resident memory', mark.rss, last.rss);
    bytes('the heap', mark.heap, last.heap);
    flat('sockets under load', mark.sockets, last.sockets, 15);
    flat('other file descriptors under load', other(mark), other(last), 3);
    // The current one, those that drain, and those that were replaced a moment ago.
    flat('generations in memory under load', 12, last.generations, 0);
  }
  if (!idle.after) return wrong;
  const { before, after } = idle;
  flat('file descriptors', before.fileDescriptors, after.fileDescriptors, 2);
  flat('active timers', before.activeTimers, after.activeTimers, 2);
  flat('timers in memory', before.timers, after.timers, 5);
  flat('sockets in memory', before.sockets, after.sockets, 5);
  flat('generations in memory', before.generations, after.generations, 2);
  return wrong;
}

const other = ({ fileDescriptors, sockets }: Measurement) => fileDescriptors - sockets;

/** For a person. */
export function summary(report: Report, wrong: readonly string[]): string {
  const { breaches, answers, latencies, metrics, idle } = report;
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0);
  const total = Object.values(answers).reduce((sum, count) => sum + count, 0);
  return [
    `${report.reloads} reloads in ${Math.round(report.seconds)} s, written to serving: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${Math.round(sorted.at(-1) ?? 0)} ms`,
    `${total} requests answered: ${Object.entries(answers)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`,
    `${report.streamsEnded} long streams of ${report.options.streamSeconds} s, each over at least ${report.fewestReloads ?? 0} reloads`,
    `failed ${breaches.failed}, cut ${breaches.cut}, mixed ${breaches.mixed}, stale ${breaches.stale}, generations ended early ${metrics.expired}`,
    '',
    row(['', 'rss', 'heap', 'fds', 'active timers', 'timers', 'sockets', 'generations']),
    cells('idle before', idle.before),
    ...[...report.measurements].map(([reload, measurement]) => cells(`reload ${reload}`, measurement)),
    ...(idle.after ? [cells('idle after', idle.after)] : []),
    '',
    ...report.examples,
    wrong.length === 0 ? 'All rules hold.' : `Broken:\n${wrong.map((sentence) => `- ${sentence}`).join('\n')}`,
  ].join('\n');
}

function cells(
  name: string,
  { rss, heap, fileDescriptors, activeTimers, timers, sockets, generations }: Measurement,
): string {
  return row([name, megabytes(rss), megabytes(heap), fileDescriptors, activeTimers, timers, sockets, generations]);
}

const row = (values: readonly (string | number)[]) =>
  values
    .map((value) => String(value).padEnd(14))
    .join('')
    .trimEnd();

const megabytes = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`;
