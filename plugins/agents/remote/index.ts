import { agentKind, definePlugin } from '../../../core/index.ts';
import { checkOptions, RemoteAgentOptions } from './options.ts';

/** The A2A client is loaded by the first agent that needs it. */
const load = () => import('./agent.ts');

export default definePlugin({
  apiVersion: 1,
  name: 'hector/agent-remote',
  provides: [
    agentKind({
      name: 'remote',
      description: 'Passes messages on to an agent elsewhere, over A2A',
      options: RemoteAgentOptions,
      async create(options, host) {
        checkOptions(host.name, options);
        const { createRemoteAgent } = await load();
        return createRemoteAgent(options, host);
      },
    }),
  ],
});
