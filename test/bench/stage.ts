import { type HectorOptions, type Running, type RunningHector, serve, startHector } from './process.ts';
import type { CaseResult } from './report.ts';

export interface BenchOptions extends HectorOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** How long the paced streams go on. */
  readonly streamSeconds: number;
  readonly streams: number;
  /** Changes of the configuration in one measurement. */
  readonly reloads: number;
  /** Writes to each store. */
  readonly writes: number;
}

export type Measured = Omit<CaseResult, 'name' | 'title'>;

/** Starts servers that all end with the case. */
export interface Stage {
  readonly options: BenchOptions;
  use<T extends Running>(starting: Promise<T>): Promise<T>;
  /** Hector with agents that each have a model of their own. */
  hector(agents: Readonly<Record<string, string>>): Promise<RunningHector>;
  /** Hector with any configuration, which it follows. */
  watching(text: (port: number) => string): Promise<RunningHector>;
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
    const stage: Stage = {
      options,
      use,
      hector: (agents) => use(startHector(options, agents)),
      watching: (text) => use(serve(options, text, ['--watch'])),
    };
    return { name, title, ...(await measure(stage)) };
  } finally {
    await Promise.all(running.map((one) => one.stop()));
  }
}
