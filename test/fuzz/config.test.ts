import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { environmentOf } from '../../core/config/environment.ts';
import { ConfigError } from '../../core/config/issue.ts';
import { loadSnapshot } from '../../core/config/load.ts';
import { builtins } from '../../plugins/builtin.ts';
import { Random } from '../support/random.ts';
import { fuzzSettings, mutated, mutatedText } from './mutation.ts';

/** Something of every section. */
const document = {
  version: '2',
  name: 'fuzzed',
  llms: {
    default: {
      provider: 'openai',
      model: 'gpt-4o',
      api_key: '${OPENAI_API_KEY}',
      temperature: 0.5,
      timeouts: { total: '30s' },
    },
    other: { provider: 'echo' },
  },
  agents: {
    one: {
      llm: 'default',
      instruction: 'Be brief, {user}.',
      tools: ['files'],
      sub_agents: ['four'],
      visibility: 'internal',
      allow: [{ scopes: ['read'], roles: ['admin'] }, { subjects: ['alice'] }],
      skills: [{ id: 'a', name: 'A', tags: ['x'] }],
    },
    two: { llm: 'other', enabled: false },
    three: { type: 'sequential', sub_agents: ['four'] },
    four: { llm: 'other' },
  },
  tools: { files: { type: 'mcp', command: 'node', args: ['-v'], env: { A: '${HOME:-x}' } } },
  databases: { main: { driver: 'postgres', host: 'localhost', port: 5432, database: 'h', user: 'u', password: 'p' } },
  storage: {
    tasks: { backend: 'sql', database: 'main' },
    checkpoint: { enabled: true, strategy: 'hybrid', interval: 2 },
  },
  server: {
    port: 8080,
    auth: {
      enabled: true,
      jwks_url: 'https://example.com/jwks',
      api_keys: ['${OPENAI_API_KEY}', { key: 'k', subject: 's' }],
    },
    cors: { allowed_origins: ['https://example.com'], allow_credentials: true },
    limits: { max_connections: 10 },
    trusted_proxies: ['10.0.0.0/8'],
    outbound: { allow: ['10.0.0.0/8', '*.internal'] },
  },
  rate_limiting: { enabled: true, scope: 'user', limits: [{ type: 'count', window: 'minute', limit: 60 }] },
  logger: { level: 'info', format: 'json' },
  plugins: [],
};

const environment = environmentOf({ OPENAI_API_KEY: 'sk-canary-0123456789' });

test('the document that is mutated is right', async () => {
  await loadSnapshot({ text: stringify(document), source: 'fuzz.yaml', revision: '1' }, { environment, builtins });
});

test('whatever a document says, it is loaded or refused with reasons that name a place', {
  timeout: 600_000,
}, async () => {
  const { runs, seed } = fuzzSettings(400);
  let loaded = 0;
  let refused = 0;
  for (let at = seed; at < seed + runs; at++) {
    const random = new Random(at);
    const text = textOf(random);
    const told = () => `FUZZ_SEED=${at} FUZZ_RUNS=1:\n${text.slice(0, 4_000)}`;
    try {
      await loadSnapshot({ text, source: 'fuzz.yaml', revision: '1' }, { environment, builtins });
      loaded++;
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${error instanceof Error ? error.stack : String(error)}\n${told()}`);
      check(error, told);
      refused++;
    }
  }
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  if (runs >= 400) assert.ok(loaded > runs / 50 && refused > runs / 5, `${loaded} loaded, ${refused} refused`);
});

function textOf(random: Random): string {
  const plain = stringify(document);
  switch (random.below(4)) {
    case 0: {
      let text = plain;
      for (let times = 1 + random.below(3); times > 0; times--) text = mutatedText(random, text);
      return text;
    }
    case 1:
      return JSON.stringify(mutated(random, document)) ?? '';
    default:
      return stringify(mutated(random, document)) ?? '';
  }
}

function check(error: ConfigError, told: () => string): void {
  assert.ok(error.issues.length > 0, told());
  for (const { message } of error.issues) {
    assert.ok(message.length > 0, told());
    assert.doesNotMatch(
      message,
      /\[object Object\]|\bundefined\b|Cannot read prop|is not a function|sk-canary/,
      told(),
    );
  }
}
