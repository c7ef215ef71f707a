import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Environment from '../../core/config/environment.ts';
import type * as Load from '../../core/config/loader.ts';
import type * as Log from '../../core/logger.ts';
import type * as Build from '../../core/runtime/build.ts';
import type { Generation } from '../../core/runtime/generation.ts';
import type * as Pool from '../../core/runtime/resource-pool.ts';
import type * as Builtin from '../../plugins/builtin.ts';
import { fleet } from './fleet.ts';
import { median } from './load.ts';
import { NotRunnable } from './process.ts';

/** Of the build that is measured, not of the sources beside this. */
async function modules(cli: string) {
  const from = async <T>(file: string): Promise<T> => {
    const built = path.resolve(path.dirname(cli), '..', file);
    if (!existsSync(built)) throw new NotRunnable(`${built} is not there`);
    return (await import(pathToFileURL(built).href)) as T;
  };
  return {
    ...(await from<typeof Load>('core/config/loader.js')),
    ...(await from<typeof Environment>('core/config/environment.js')),
    ...(await from<typeof Log>('core/logger.js')),
    ...(await from<typeof Build>('core/runtime/build.js')),
    ...(await from<typeof Pool>('core/runtime/resource-pool.js')),
    ...(await from<typeof Builtin>('plugins/builtin.js')),
  };
}

/**
 * Milliseconds from a document that is read, in which one agent is known to differ, to the generation of it, and to the old
 * one's end; medians.
 */
export async function buildCost(cli: string, sizes: readonly number[], times: number): Promise<readonly number[]> {
  const core = await modules(cli);
  const contestants = sizes.map((agents) => {
    const loader = new core.Loader();
    const options = { pool: new core.ResourcePool(), logger: core.silentLogger, onWarning() {} };
    const environment = core.environmentOf({});
    let id = 0;
    let current: Generation | undefined;
    const next = async (): Promise<number> => {
      let read = performance.now();
      const onRead = () => {
        read = performance.now();
      };
      const document = { text: fleet({ agents, version: ++id }), source: 'bench', revision: `${id}` };
      const snapshot = await loader.load(document, { builtins: core.builtins, environment, onRead });
      const made = await core.buildGeneration(id, snapshot, { ...options, previous: current });
      await current?.retire({ drainMs: 0, abortMs: 0 });
      current = made;
      return performance.now() - read;
    };
    return { next, measures: [] as number[] };
  });
  // The first are for the compiler.
  for (let time = -20; time < times; time++) {
    for (const { next, measures } of contestants) {
      const took = await next();
      if (time >= 0) measures.push(took);
    }
  }
  return contestants.map(({ measures }) => median(measures));
}
