import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ConfigStatus } from '../../core/config/status.ts';
import { command, startCommand } from '../support/command-line.ts';
import { configStatus, metric } from '../support/config-status.ts';
import type { Hector } from '../support/hector.ts';
import { ask, type Headers, type Studio, studioOverEtcd, studioOverFile } from '../support/studio.ts';
import { until } from '../support/until.ts';

const text = (...agents: readonly string[]) =>
  `# Mine\nllms: { default: { provider: echo } }\nagents:\n${agents.map((name) => `  ${name}: {}\n`).join('')}`;

const yaml = { 'Content-Type': 'application/yaml' };
const put = ({ hector }: Studio, body: string, headers: Headers = {}, method = 'PUT') =>
  ask(hector, method, '/api/config', { ...yaml, ...headers }, body);
const get = ({ hector }: Studio, headers: Headers = {}) => ask(hector, 'GET', '/api/config', headers);
const tag = async (studio: Studio, headers: Headers = {}) => String((await get(studio, headers)).headers.etag);

async function agentsOf({ url }: Hector, headers: Headers = {}): Promise<string> {
  const { agents } = (await (await fetch(`${url}/agents`, { headers })).json()) as { agents: { name: string }[] };
  return agents
    .map(({ name }) => name)
    .sort()
    .join();
}

interface Listed {
  readonly revisions: readonly { readonly revision: string; readonly by?: string }[];
}

async function history({ flags }: Studio): Promise<Listed['revisions']> {
  const { code, stdout, stderr } = await command(['config', 'history', '--format', 'json', ...flags]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as Listed).revisions;
}

for (const kind of [studioOverFile, studioOverEtcd]) {
  describe(`the configuration API over ${kind.name}`, { skip: kind.missing }, () => {
    test('reads, writes compare-and-set, and what was written serves and is in the history', async () => {
      await using studio = await kind.start({ text: text('first') });
      const { hector } = studio;
      const read = await get(studio);
      assert.equal(read.status, 200);
      assert.equal(read.text, text('first'), 'as it is written, with its comments');
      assert.match(String(read.headers['content-type']), /yaml/);
      const etag = String(read.headers.etag);
      assert.equal((await get(studio, { 'If-None-Match': etag })).status, 304);

      const saved = await put(studio, text('first', 'second'), { 'If-Match': etag });
      assert.equal(saved.status, 200, saved.text);
      const { revision } = JSON.parse(saved.text) as { revision: string };
      assert.equal(saved.headers.etag, `"${revision}"`);
      assert.notEqual(saved.headers.etag, etag);
      await until(async () => (await agentsOf(hector)) === 'first,second');
      assert.equal((await configStatus(hector)).serving?.revision, revision);

      const stale = await put(studio, text('third'), { 'If-Match': etag });
      assert.deepEqual([stale.status, stale.error.code], [412, 'conflict']);
      const create = await put(studio, text('third'), { 'If-None-Match': '*' });
      assert.equal(create.status, 412);
      assert.equal((await get(studio)).text, text('first', 'second'));

      const posted = await put(studio, text('third'), { 'If-Match': String(saved.headers.etag) }, 'POST');
      assert.equal(posted.status, 200, posted.text);
      await until(async () => (await agentsOf(hector)) === 'third');

      const [last, before, first] = await history(studio);
      assert.deepEqual(
        [last?.by, before?.by, first?.by],
        ['the configuration API', 'the configuration API', undefined],
      );
      assert.equal(before?.revision, revision);
      const back = await command(['config', 'rollback', '-2', ...studio.flags]);
      assert.equal(back.code, 0, back.stderr);
      await until(async () => (await agentsOf(hector)) === 'first');
    });

    test('of several who have seen the same one wins, and whoever has seen nothing is told when he was overtaken', async () => {
      await using studio = await kind.start({ text: text('first') });
      const etag = await tag(studio);
      const names = ['one', 'two', 'three', 'four'];
      const answers = await Promise.all(names.map((name) => put(studio, text(name), { 'If-Match': etag })));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412, 412, 412]);
      const winner = names[answers.findIndex(({ status }) => status === 200)];
      assert.equal((await get(studio)).text, text(String(winner)));
      await until(async () => (await agentsOf(studio.hector)) === winner);

      let round = 0;
      await until(async () => {
        round++;
        const both = await Promise.all([put(studio, text(`left${round}`)), put(studio, text(`right${round}`))]);
        for (const { status, text: told } of both) assert.ok(status === 200 || status === 409, told);
        assert.ok(both.some(({ status }) => status === 200));
        const lost = both.find(({ status }) => status === 409);
        if (lost) assert.equal(lost.error.code, 'conflict');
        return lost !== undefined;
      }, 30_000);
    });

    test('what is wrong is refused with its places, what is not to be changed by its name, and nothing is written', async () => {
      await using studio = await kind.start({ text: `${text('first')}server: { max_body_size: 2MiB }\n` });
      const { hector, source } = studio;
      const before = await get(studio);
      const rest = 'server: { max_body_size: 2MiB }\n';
      const wrong = await put(
        studio,
        `${rest}llms: { default: { provider: echo } }\nagents:\n  a: { llm: gpt }\n  b: { tols: [] }\n`,
      );
      assert.equal(wrong.status, 400, wrong.text);
      assert.deepEqual(
        wrong.error.issues.map(({ path, file: where, line, column }) => [path.join('.'), where, line, column]).sort(),
        [
          ['agents.a.llm', source, 4, 8],
          ['agents.b.tols', source, 5, 8],
        ],
      );
      const syntax = await put(studio, 'agents: [');
      assert.equal(syntax.status, 400);
      assert.deepEqual([syntax.error.issues[0]?.file, syntax.error.issues[0]?.line], [source, 1]);
      assert.equal((await put(studio, '')).error.code, 'config_empty');
      const variable = await put(studio, `name: "\${NO_SUCH_VARIABLE}"\n${before.text}`);
      assert.match(variable.error.message, /NO_SUCH_VARIABLE is not set/);

      for (const [section, change] of [
        ['server', before.text.replace('2MiB', '3MiB')],
        ['server', before.text.replace(/^server.*\n/m, '')],
        ['plugins', `${before.text}plugins: ["/tmp/mine.js"]\n`],
        ['config', `${before.text}config: { provider: consul, key: mine }\n`],
      ] as const) {
        const answer = await put(studio, change);
        assert.deepEqual([answer.status, answer.error.code], [403, 'section_fixed'], change);
        assert.match(answer.error.message, new RegExp(`^"${section}" is not changed`));
      }
      const after = await get(studio);
      assert.deepEqual([after.text, after.headers.etag], [before.text, before.headers.etag]);
      assert.equal((await configStatus(hector)).state, 'current');
      assert.equal(await metric(hector, 'hector_config_reloads_total'), 1, 'nothing of that was a reload');
      assert.equal((await put(studio, before.text.replace('first', 'last'))).status, 200, 'as it was it may be sent');
      await until(async () => (await agentsOf(hector)) === 'last');
    });

    test('what cannot be read is not written over, and is mended where it is', async () => {
      await using studio = await kind.start({ text: text('first') });
      const { hector } = studio;
      await studio.put('agents: [');
      await until(async () => (await configStatus(hector)).state === 'rejected', 20_000);
      const answer = await put(studio, text('second'));
      assert.deepEqual([answer.status, answer.error.code], [409, 'source_broken']);
      assert.match(answer.error.message, /hector config rollback/);
      assert.equal((await get(studio)).text.trim(), 'agents: [');
      const reloaded = await ask(hector, 'POST', '/api/config/reload');
      assert.equal(reloaded.status, 422, reloaded.text);
      assert.equal(reloaded.error.issues[0]?.line, 1);
      assert.equal(await agentsOf(hector), 'first');
      await studio.put(text('third'));
      await until(async () => (await agentsOf(hector)) === 'third');
      const again = await ask(hector, 'POST', '/api/config/reload');
      assert.equal(again.status, 200);
      const { result, status } = JSON.parse(again.text) as { result: string; status: ConfigStatus };
      assert.deepEqual([result, status.state, status.watching], ['noop', 'current', true]);
    });

    test('with authentication nobody is let in without credentials, and no credential is told', async () => {
      const secret = 'canary-4711-credential';
      const served = `${text('first')}server: { auth: { enabled: true, api_keys: [{ key: "\${KEY}", subject: ann, roles: [admin] }] } }\n`;
      await using studio = await kind.start({ text: served, env: { KEY: secret } });
      const { hector } = studio;
      const asks = [
        ['GET', '/api/config'],
        ['PUT', '/api/config'],
        ['POST', '/api/config'],
        ['GET', '/api/schema'],
        ['GET', '/api/config/status'],
        ['POST', '/api/config/reload'],
      ] as const;
      for (const [method, path] of asks) {
        for (const headers of [{}, { 'X-API-Key': 'another' }]) {
          const answer = await ask(hector, method, path, { ...yaml, ...headers }, method === 'PUT' ? text('x') : '');
          assert.deepEqual([answer.status, answer.error.code], [401, 'unauthenticated'], `${method} ${path}`);
        }
      }
      const known = { 'X-API-Key': secret };
      const read = await get(studio, known);
      assert.equal(read.text, served, 'the reference, and not what it stands for');
      const open = await put(studio, text('first'), known);
      assert.equal(open.status, 403, 'authentication is not switched off like this');
      const etag = String(read.headers.etag);
      const saved = await put(studio, served.replace('first', 'second'), { ...known, 'If-Match': etag });
      assert.equal(saved.status, 200, saved.text);
      await until(async () => (await agentsOf(hector, known)) === 'second');
      const wrong = await put(studio, served.replace('llms:', `name: "\${KEY}"\ntols: {}\nllms:`), known);
      assert.equal(wrong.status, 400);
      const status = await ask(hector, 'GET', '/api/config/status', known);
      assert.equal(await hector.stop(), 0);
      const said = [read, saved, wrong, status].map((each) => each.text).join('\n') + hector.stdout() + hector.stderr();
      assert.ok(!said.includes(secret), said);
    });
  });
}

test('callers who are let in as anonymous, or need no credentials, do not see the configuration either', async () => {
  const auth =
    'auth: { enabled: true, require_auth: false, api_keys: [{ key: abcdefgh, subject: ann, roles: [operator] }], excluded_paths: ["/api/*", "/api/config"] }';
  const served = `${text('first')}server: { ${auth} }\n`;
  await using studio = await studioOverFile.start({ text: served });
  const { hector } = studio;
  assert.equal(await agentsOf(hector), 'first');
  assert.equal((await get(studio)).status, 401);
  assert.equal((await put(studio, served.replace('first', 'second'))).status, 401);
  assert.equal((await ask(hector, 'GET', '/api/config/status')).status, 401);
  const saved = await put(studio, served.replace('first', 'second'), { 'X-API-Key': 'abcdefgh' });
  assert.equal(saved.status, 200, saved.text);
  await until(async () => (await agentsOf(hector)) === 'second');
});

test('the schema is the one that the command line prints', async () => {
  await using studio = await studioOverFile.start({ text: text('first') });
  const { hector } = studio;
  const answer = await ask(hector, 'GET', '/api/schema');
  assert.equal(answer.status, 200);
  assert.match(String(answer.headers['content-type']), /^application\/schema\+json/);
  const { stdout } = await command(['schema']);
  assert.deepEqual(JSON.parse(answer.text), JSON.parse(stdout));
  const etag = String(answer.headers.etag);
  assert.equal((await ask(hector, 'GET', '/api/schema', { 'If-None-Match': etag })).status, 304);
});

test("pages of other sites, and names of theirs for this machine, can't reach it", async () => {
  await using studio = await studioOverFile.start({ text: text('first') });
  const { hector } = studio;
  const port = new URL(hector.url).port;
  for (const [headers, status, code] of [
    [{ Origin: 'http://evil.example' }, 403, 'other_origin'],
    [{ Origin: 'null' }, 403, 'other_origin'],
    [{ Origin: `http://127.0.0.1:${Number(port) + 1}` }, 403, 'other_origin'],
    [{ 'Sec-Fetch-Site': 'cross-site' }, 403, 'other_origin'],
    [{ Host: `evil.example:${port}`, Origin: `http://evil.example:${port}` }, 403, 'not_local'],
    [{ 'X-Forwarded-For': '10.0.0.1' }, 403, 'not_local'],
    [{ 'Content-Type': 'text/plain' }, 415, 'unsupported_media_type'],
    [{ 'Content-Type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
  ] as const) {
    const answer = await put(studio, text('stolen'), headers);
    assert.deepEqual([answer.status, answer.error.code], [status, code], JSON.stringify(headers));
    if (status !== 403 || !('Origin' in headers)) continue;
    assert.equal((await get(studio, headers)).status, 403, `reading with ${JSON.stringify(headers)}`);
    assert.equal((await ask(hector, 'POST', '/api/config/reload', headers)).status, 403);
  }
  assert.equal(await readFile(join(hector.folder, 'config.yaml'), 'utf8'), text('first'));
  const own = await put(studio, text('second'), { Origin: hector.url, 'Sec-Fetch-Site': 'same-origin' });
  assert.equal(own.status, 200, own.text);
});

test('without --studio there is the status and the reload, and nothing to read or write', async () => {
  await using studio = await studioOverFile.start({ text: text('first'), args: ['--watch'] });
  const { hector } = studio;
  for (const [method, path] of [
    ['GET', '/api/config'],
    ['PUT', '/api/config'],
    ['POST', '/api/config'],
    ['GET', '/api/schema'],
  ] as const) {
    const answer = await ask(hector, method, path, yaml, method === 'GET' ? '' : text('second'));
    assert.deepEqual([answer.status, answer.error.code], [403, 'studio_disabled'], `${method} ${path}`);
  }
  assert.equal((await configStatus(hector)).state, 'current');
  assert.equal((await ask(hector, 'POST', '/api/config/reload')).status, 200);
  assert.equal(await readFile(join(hector.folder, 'config.yaml'), 'utf8'), text('first'));
});

test('with --studio it listens on this machine only, or does not start', async () => {
  for (const [args, config] of [
    [['--host', '0.0.0.0'], text('first')],
    [[], text('first')],
    [[], `${text('first')}server: { host: 192.0.2.1 }\n`],
  ] as const) {
    const files = { 'config.yaml': config };
    const flags = ['serve', '--studio', '--port', '0', '--config', 'config.yaml', ...args];
    await using running = await startCommand(flags, { files });
    await until(() => running.process.exitCode !== null || running.stdout() !== '', 60_000);
    assert.equal(running.stdout(), '');
    assert.equal(await running.exited, 2, running.stderr());
    assert.match(
      running.stderr(),
      /--studio .* only listens on this machine: add --host 127\.0\.0\.1 .* or enable server\.auth/,
    );
  }
});
