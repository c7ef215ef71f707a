import { type HectorOptions, type Running, startHector } from './process.ts';
import type { CaseResult } from './report.ts';

export interface BenchOptions extends HectorOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** How long the paced streams go on. */
  readonly streamSeconds: number;
  readonly streams: number;
}

export type Measured = Omit<CaseResult, 'name' | 'title'>;

/** Starts servers that all end with the case. */
export interface Stage {
  readonly options: BenchOptions;
  use<T extends Running>(starting: Promise<T>): Promise<T>;
  hector(agents: Readonly<Record<string, string>>): ReturnType<typeof startHector>;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly run: (stage: Stage) => Promise<Measured>;
}

export async function run({ name, title, run: measure }: Case, options: BenchOptions): Promise<CaseResult> {
  const running: Running[] = [];
  const use = async <T extends Running>(starting: Promise<T>): Promise<T> => {
    const started = await starting;
    running.push(started);
    return started;
  };
  try {
    return { name, title, ...(await measure({ options, use, hector: (agents) => use(startHector(options, agents)) })) };
  } finally {
    await Promise.all(running.map((one) => one.stop()));
  }
}
