/**
 * What an extension is tested by, Hector's own first. The test function is passed in, so the kits fit any runner.
 * What `import … from 'hector/conformance'` gives.
 */
export { testAgent } from './agent.ts';
export { testAuthScheme } from './auth-scheme.ts';
export { testConfigProvider } from './config-provider.ts';
export { testLlmProvider } from './llm.ts';
export { testStorageBackend } from './storage.ts';
export { testToolset } from './toolset.ts';
