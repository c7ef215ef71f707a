import type { Toolset } from '../../../../core/index.ts';
import { createOutbound } from '../../../../core/net/outbound.ts';
import web from '../../../../plugins/tools/web/index.ts';
import { callTool } from '../../../support/call-tool.ts';
import { createInstance, extensionContext } from '../../../support/extension.ts';

export interface WebTools extends AsyncDisposable {
  call(tool: string, args: object, signal?: AbortSignal): Promise<unknown>;
}

/** The toolset, made as the core makes it; `allow` is that of `server.outbound`. */
export async function webTools(options: object = {}, allow: readonly string[] = ['127.0.0.1']): Promise<WebTools> {
  const given = extensionContext<'toolset'>({ name: 'web', outbound: createOutbound({ allow }) });
  const toolset = (await createInstance<'toolset'>(web, options, given)) as Toolset;
  return {
    call: (name, args, signal) => callTool(toolset, name, args, signal && { signal }),
    [Symbol.asyncDispose]: async () => toolset[Symbol.asyncDispose]?.(),
  };
}
