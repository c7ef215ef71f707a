import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { HectorConfig } from '../../core/config/language/hector.ts';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import { type BannerOptions, banner, waitingBanner } from '../../server/banner.ts';
import { serverDefaults } from '../support/generations.ts';

type Server = Partial<HectorConfig['server']>;

function options(
  server: Server = {},
  agents: object = { assistant: { visibility: 'public', llm: 'default' } },
): BannerOptions {
  const config = {
    server: { ...serverDefaults, ...server },
    agents: Object.fromEntries(Object.entries(agents).map(([name, agent]) => [name, { enabled: true, ...agent }])),
    llms: { default: { provider: 'openai', model: 'gpt-4o', api_key: 'sk-canary' } },
  } as unknown as HectorConfig;
  const contents = {
    config,
    hash: 'abcdef0123456789',
    source: 'hector.yaml',
    authSchemes: new Map<string, AuthScheme>(),
  };
  return { version: '2.0.0', url: 'http://localhost:8080', contents, warnings: [], color: false };
}

test('says what is where, who may come in, and where the configuration came from; no secret', () => {
  const text = banner(options());
  assert.match(text, /^Hector 2\.0\.0\n/);
  assert.match(text, /Server +http:\/\/localhost:8080\n/);
  assert.match(text, /Card +http:\/\/localhost:8080\/\.well-known\/agent-card\.json\n/);
  assert.match(text, /Agents +assistant +http:\/\/localhost:8080\/agents\/assistant +\(openai\/gpt-4o\)\n/);
  assert.match(text, /Auth +none/);
  assert.match(text, /Config +hector\.yaml \(abcdef012345\)\n/);
  assert.ok(!text.includes('canary') && !text.includes('\u001b'));
  assert.ok(banner({ ...options(), color: true }).startsWith('\u001b[1mHector'));
});

test('the curl line is one that a shell takes, with a message of its own each time', () => {
  const line =
    banner(options())
      .split('\n')
      .find((each) => each.trim().startsWith('curl')) ?? '';
  const words = execFileSync('sh', ['-c', `curl() { for word; do printf '%s\\n' "$word"; done; }; ${line}`], {
    encoding: 'utf8',
  });
  const args = words.trim().split('\n');
  assert.deepEqual(args.slice(0, -1), [
    '-s',
    'http://localhost:8080/agents/assistant',
    '-H',
    'Content-Type: application/json',
    '-H',
    'A2A-Version: 1.0',
    '-d',
  ]);
  const request = JSON.parse(args.at(-1) ?? '');
  assert.equal(request.method, 'SendMessage');
  assert.match(request.params.message.messageId, /^hello-\d+$/);
});

test('agents: private ones are not shown, internal ones are marked, the default one is who the line talks to', () => {
  const agents = {
    hidden: { visibility: 'private' },
    staff: { visibility: 'internal' },
    first: { visibility: 'public' },
    second: { visibility: 'public' },
  };
  const text = banner(options({}, agents));
  assert.doesNotMatch(text, /hidden/);
  assert.match(text, /agents\/staff +\(internal\)/);
  assert.match(text, /curl -s \S+\/agents\/first /);
  assert.match(banner(options({ default_agent: 'second' }, agents)), /curl -s \S+\/agents\/second /);
  const none = banner(options({}, { hidden: { visibility: 'private' } }));
  assert.match(none, /none that can be called/);
  assert.doesNotMatch(none, /curl|Card/);
});

test('auth, public URL and warnings', () => {
  const base = options({
    public_url: 'https://agents.example.com',
    auth: { enabled: true, require_auth: true, excluded_paths: [] },
  });
  const scheme: AuthScheme = { securityScheme: {}, authenticate: async () => undefined };
  const contents = {
    ...base.contents,
    authSchemes: new Map([
      ['jwt', scheme],
      ['api-key', scheme],
    ]),
  };
  const warnings = [
    {
      path: ['server', 'cors'],
      message: 'cross-origin requests come with a later version',
      rule: 'coming',
      line: 3,
      column: 5,
    },
  ];
  const text = banner({ ...base, contents, warnings });
  assert.match(text, /Public +https:\/\/agents\.example\.com\n/);
  assert.match(text, /Auth +jwt, api-key\n/);
  assert.match(text, /Warning: hector\.yaml:3:5 server\.cors: cross-origin/);
  assert.match(text, /-H 'Authorization: Bearer YOUR_TOKEN'/);
});

test('an agent that is disabled is not there', () => {
  const agents = { first: { visibility: 'public', enabled: false }, second: { visibility: 'public' } };
  const text = banner(options({}, agents));
  assert.ok(!text.includes('first'));
  assert.match(text, /curl -s http:\/\/localhost:8080\/agents\/second/);
});

test('without a configuration yet: where it listens, what it waits for, and where to ask why', () => {
  const { version, url } = options();
  const text = waitingBanner({ version, url, source: 'consul:hector/prod', color: false });
  assert.match(text, /Server +http:\/\/localhost:8080\n/);
  assert.match(text, /consul:hector\/prod: waiting for it \(http:\/\/localhost:8080\/api\/config\/status says why\)/);
});
