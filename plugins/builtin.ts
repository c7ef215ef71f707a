import type { Plugin } from '../core/index.ts';
import configConsul from '../providers/consul.ts';
import configEtcd from '../providers/etcd.ts';
import configFile from '../providers/file.ts';
import configZookeeper from '../providers/zookeeper.ts';
import agentLlm from './agents/llm/index.ts';
import agentRemote from './agents/remote/index.ts';
import agentWorkflow from './agents/workflow/index.ts';
import authApiKey from './auth/api-key.ts';
import authJwt from './auth/jwt.ts';
import llmAnthropic from './llm/anthropic.ts';
import llmEcho from './llm/echo.ts';
import llmGemini from './llm/gemini.ts';
import llmOllama from './llm/ollama.ts';
import llmOpenai from './llm/openai.ts';
import secretsDirectory from './secrets/directory.ts';
import secretsVault from './secrets/vault.ts';
import storageInmemory from './storage/inmemory.ts';
import storageMongodb from './storage/mongodb.ts';
import storagePostgres from './storage/postgres.ts';
import storageSqlite from './storage/sqlite.ts';
import documentsDirectory from './tools/directory.ts';
import toolsFunction from './tools/function.ts';
import toolsMcp from './tools/mcp/index.ts';
import toolsSearch from './tools/search.ts';
import toolsWeb from './tools/web/index.ts';

export { watchFiles } from '../providers/file-watch.ts';

/** What is in the box. Registered like any other plugin, before those that the configuration names. */
export const builtins: readonly Plugin[] = [
  configFile,
  configConsul,
  configEtcd,
  configZookeeper,
  llmAnthropic,
  llmOpenai,
  llmGemini,
  llmOllama,
  llmEcho,
  storageInmemory,
  storageSqlite,
  storagePostgres,
  storageMongodb,
  authApiKey,
  authJwt,
  secretsDirectory,
  secretsVault,
  toolsFunction,
  toolsMcp,
  toolsSearch,
  toolsWeb,
  documentsDirectory,
  agentLlm,
  agentRemote,
  agentWorkflow,
];
