import { bytes, definePlugin, milliseconds, toolset } from '../../../core/index.ts';
import { domainCheck } from './domains.ts';
import { WebOptions } from './options.ts';
import { fetchTool } from './web-fetch.ts';
import { requestTool } from './web-request.ts';

/** Two tools that reach the web: `web_fetch` to read a page, `web_request` for anything that HTTP can say. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/tools-web',
  provides: [
    toolset({
      name: 'web',
      description: 'Reads pages of the web and sends requests to it',
      options: WebOptions,
      create(options, { outbound }) {
        const client = outbound.client({ permit: domainCheck(options), maxConnections: 16 });
        const timeoutMs = milliseconds(options.timeout);
        const limits = {
          // Beyond that the rest is left alone, which is no error.
          maxBytes: Number.POSITIVE_INFINITY,
          timeoutMs: timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs,
          maxRedirects: options.max_redirects,
        };
        const access = {
          fetch: client.fetch.bind(client),
          limits,
          userAgent: options.user_agent,
          maxRequest: bytes(options.max_request_size),
          maxResponse: bytes(options.max_response_size),
          maxText: options.max_text,
        };
        const tools = Object.freeze([fetchTool(access), requestTool(access, options.allowed_methods)]);
        return { tools: async () => tools, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
      },
    }),
  ],
});
