import { after, describe, test } from 'node:test';
import { testAgent } from '../../../conformance/agent.ts';
import { type A2aServing, endless, parrot, servingAgents } from '../../../support/a2a-serving.ts';
import { remoteAgent } from './far-side.ts';

describe('a remote agent', () => {
  let serving: Promise<A2aServing> | undefined;
  const at = async (name: string) => {
    serving ??= servingAgents({ agents: { parrot: { run: parrot }, endless: { run: endless } } });
    return (await remoteAgent({ url: `${(await serving).url}/agents/${name}` })).agent;
  };
  after(async () => (await serving)?.[Symbol.asyncDispose]());
  testAgent({ test, create: () => at('parrot'), createEndless: () => at('endless') });
});
