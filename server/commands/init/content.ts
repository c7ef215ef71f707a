import { stringify } from 'yaml';
import type { Choice, Provider } from './providers.ts';

/** Lines that begin with # and go on without a space, or with two, are meant to be uncommented as they are. */
export function configText(choice: Choice): string {
  return `# What this Hector serves. "hector validate config.yaml" checks it, "hector schema" prints what else can be written.
version: "2"

llms:
  default:
${llm(choice)}
agents:
  assistant:
    description: Answers questions
    instruction: |
      You are a helpful assistant. Answer briefly and exactly, and say so when you do not know.

# A second agent. With "agent_tools: [critic]" in its own entry, the assistant can ask it.
#  critic:
#    description: Finds what is wrong with a text
#    instruction: Say what is wrong with the text that you are given, in three sentences at most.
#    tools: []

# Tasks and conversations are kept in this file, and are there after a restart.
databases:
  main:
    # For more than one machine: "driver: postgres" with "dsn: \${DATABASE_URL}" instead of the two lines.
    driver: sqlite
    database: ${dataFolder}/hector.db
storage:
  tasks:
    backend: sql
    database: main
# How long a task is kept after it has ended; below, a conversation after its last use. Else until "hector db prune".
#    retention: 30d
  sessions:
    backend: sql
    database: main
#    retention: 90d

# Tools: what a JavaScript module beside this file exports. Agents use all tools, or those that they list in "tools".
#tools:
#  shop:
#    type: function
#    handler: ./tools.js

# Serves what this file says as soon as it is saved; "hector serve --watch" does so too.
#config:
#  watch: true

# Lets only those in who send a key: "Authorization: Bearer …".
#server:
#  auth:
#    enabled: true
#    api_keys:
#      - \${HECTOR_API_KEY}
`;
}

function llm({ provider: { name, keyVariable }, model }: Choice): string {
  const lines = [`provider: ${name}`, stringify({ model }).trimEnd()];
  if (keyVariable !== undefined) {
    lines.push('# Looked up in the environment, then in .env beside this file.', `api_key: \${${keyVariable}}`);
  }
  if (name === 'echo') {
    lines.unshift(
      '# The embedded model, which answers with what it is told and needs no key. For another, put its key into .env (see',
      '# .env.example) and write instead:',
      '#   provider: anthropic',
      '#   api_key: ${ANTHROPIC_API_KEY}',
    );
  }
  return `${lines.map((line) => `    ${line}`).join('\n')}\n`;
}

export function environmentText(all: readonly Provider[]): string {
  const keys = all.flatMap(({ name, keyVariable }) => (keyVariable === undefined ? [] : [{ name, keyVariable }]));
  return `# Copy this to .env, which is not for the repository, and fill in what the configuration refers to.
# What is set in the environment wins.

${keys.map(({ name, keyVariable }) => `# For the provider ${name}:\n#${keyVariable}=\n`).join('')}
# What callers send, where server.auth is on:
#HECTOR_API_KEY=
`;
}

const dataFolder = '.hector';

/** What the repository must not hold: the keys, and what callers have said. */
export const ignoredLines: readonly string[] = ['.env', `${dataFolder}/`];
