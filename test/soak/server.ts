import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConfigStatus } from '../../core/config/status.ts';
import { configStatus, drained, metric } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';
import { pluginFiles } from './configuration.ts';

/** What the process holds after its garbage has been collected. */
export interface Measurement {
  /** Bytes. */
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
  readonly fileDescriptors: number;
  /** Timers that would keep the process alive. */
  readonly activeTimers: number;
  /** Objects that are in memory, whatever for. */
  readonly timers: number;
  readonly sockets: number;
  readonly generations: number;
}

export interface ServerOptions {
  readonly config: string;
  /** Another build's `cli.js`. */
  readonly cli?: string | undefined;
}

/** A `hector serve --watch` that can be measured. */
export class Server implements AsyncDisposable {
  readonly hector: Hector;
  readonly #folder: string;
  #probes = 0;

  private constructor(hector: Hector, folder: string) {
    this.hector = hector;
    this.#folder = folder;
  }

  static async start({ config, cli }: ServerOptions): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), 'hector-soak-'));
    const probe = pathToFileURL(join(import.meta.dirname, 'probe.mjs')).href;
    const hector = await startHector({
      config,
      files: await pluginFiles(),
      args: ['--watch'],
      env: { NODE_OPTIONS: `--import ${probe}`, PROBE_FILE: join(folder, 'probe.json') },
      ...(cli !== undefined && { cli }),
    });
    return new Server(hector, folder);
  }

  status(): Promise<ConfigStatus> {
    return configStatus(this.hector);
  }

  metric(name: string, ...labels: readonly string[]): Promise<number> {
    return metric(this.hector, name, ...labels);
  }

  /** Once no replaced generation has work left. */
  drained(): Promise<void> {
    return drained(this.hector);
  }

  async measure(): Promise<Measurement> {
    const number = ++this.#probes;
    this.hector.process.kill('SIGUSR2');
    let answer: (Omit<Measurement, 'fileDescriptors'> & { number: number }) | undefined;
    await until(async () => {
      const text = await readFile(join(this.#folder, 'probe.json'), 'utf8').catch(() => undefined);
      if (text !== undefined) answer = JSON.parse(text) as typeof answer;
      return answer?.number === number;
    }, 60_000);
    const { number: _, ...counts } = answer as NonNullable<typeof answer>;
    return { ...counts, fileDescriptors: (await readdir(`/proc/${this.hector.process.pid}/fd`)).length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hector[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
