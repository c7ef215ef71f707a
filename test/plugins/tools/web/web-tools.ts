import { anonymous, silentLogger, type ToolContext, type Toolset } from '../../../../core/index.ts';
import { createOutbound } from '../../../../core/net/outbound.ts';
import web from '../../../../plugins/tools/web/index.ts';
import { createInstance, extensionContext } from '../../../support/extension.ts';

export interface WebTools extends AsyncDisposable {
  call(tool: string, args: object, signal?: AbortSignal): Promise<unknown>;
}

/** The toolset, made as the core makes it; `allow` is that of `server.outbound`. */
export async function webTools(options: object = {}, allow: readonly string[] = ['127.0.0.1']): Promise<WebTools> {
  const given = extensionContext<'toolset'>({ name: 'web', outbound: createOutbound({ allow }) });
  const toolset = (await createInstance<'toolset'>(web, options, given)) as Toolset;
  return {
    async call(name, args, signal = new AbortController().signal) {
      const tool = (await toolset.tools(signal)).find((each) => each.name === name);
      if (!tool) throw new Error(`there is no tool ${name}`);
      const context: ToolContext = {
        agent: 'test',
        principal: anonymous,
        taskId: 'task',
        contextId: 'context',
        logger: silentLogger,
        signal,
        progress: () => {},
      };
      return tool.execute(args as Record<string, unknown>, context);
    },
    [Symbol.asyncDispose]: async () => toolset[Symbol.asyncDispose]?.(),
  };
}
