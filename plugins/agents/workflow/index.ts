import { agentKind, definePlugin } from '../../../core/index.ts';
import { createLoop } from './loop.ts';
import { LoopOptions, ParallelOptions, SequentialOptions } from './options.ts';
import { createParallel } from './parallel.ts';
import { createSequential } from './sequential.ts';

export default definePlugin({
  apiVersion: 1,
  name: 'hector/agent-workflow',
  provides: [
    agentKind({
      name: 'sequential',
      description: 'Lets agents work one after the other, each with the answers of those before it',
      options: SequentialOptions,
      create: createSequential,
    }),
    agentKind({
      name: 'parallel',
      description: 'Lets agents work on the same message at the same time',
      options: ParallelOptions,
      create: createParallel,
    }),
    agentKind({
      name: 'loop',
      description: 'Lets agents work in turn, again and again, until one of them ends it',
      options: LoopOptions,
      create: createLoop,
    }),
  ],
});
