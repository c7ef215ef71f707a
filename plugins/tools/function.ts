import { definePlugin, modulePath, Type, toolset } from '../../core/index.ts';
import { exportedTools } from './exported-tools.ts';
import { importModule, locateModule } from './local-module.ts';

/** The exported tools of a local module: an object with `description`, `parameters` and `execute` each. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/tools-function',
  provides: [
    toolset({
      name: 'function',
      description: 'The exported tools of a local JavaScript module',
      options: Type.Object(
        {
          handler: modulePath(
            'Path of the module, relative to the configuration: "./tools.js", or "./tools.js#name" for one export. A changed module is loaded anew; what it imports itself stays as it was first loaded',
          ),
          parameters: Type.Optional(
            Type.Object(
              {},
              { additionalProperties: true, description: 'Of no effect: the module says what its tools take' },
            ),
          ),
        },
        { additionalProperties: false },
      ),
      async create({ handler }, { name, folder, signal }) {
        const owner = `tools.${name}`;
        const located = locateModule(handler, folder, owner);
        const exports = await importModule(located, owner, signal);
        const tools = exportedTools(exports, { owner, entry: name, module: located.path, only: located.export });
        return { tools: async () => tools };
      },
    }),
  ],
});
