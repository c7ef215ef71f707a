// The first module that is loaded from what the single file has unpacked. On a machine without Node nobody has installed
// "hector" for the plugins that import it: wherever they are, they get the one that runs.
'use strict';

const module_ = require('node:module');
const { pathToFileURL } = require('node:url');

const own = pathToFileURL(__filename).href;

if (module_.registerHooks) {
  module_.registerHooks({
    resolve: (specifier, context, next) =>
      /^hector(\/|$)/.test(specifier) ? next(specifier, { ...context, parentURL: own }) : next(specifier, context),
  });
} else {
  // Before Node 22.15 such a hook lives in a thread of its own.
  const code = `export const resolve = (specifier, context, next) =>
    /^hector(\\/|$)/.test(specifier) ? next(specifier, { ...context, parentURL: ${JSON.stringify(own)} }) : next(specifier, context);`;
  module_.register(`data:text/javascript,${encodeURIComponent(code)}`);
}

void import('./dist/server/cli.js');
