import { agentKind, definePlugin } from '../../../core/index.ts';
import { createLlmAgent } from './agent.ts';
import { LlmAgentOptions } from './options.ts';

export default definePlugin({
  apiVersion: 1,
  name: 'hector/agent-llm',
  provides: [
    agentKind({
      name: 'llm',
      description: 'Answers with a model that may call tools',
      options: LlmAgentOptions,
      create: createLlmAgent,
    }),
  ],
});
