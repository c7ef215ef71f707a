import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { blocks } from '../docs/blocks.ts';
import { hectorBinary } from '../services/binary.ts';
import { bootMachine, type Machine, machineMissing } from '../services/machine.ts';
import { systemdAnalyze, systemdMissing } from '../services/systemd.ts';
import { deployFile } from '../support/deploy-file.ts';
import { until } from '../support/until.ts';

const unit = deployFile('systemd/hector.service');

describe('the unit', { skip: systemdMissing }, () => {
  test('systemd finds nothing to say against it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-unit-'));
    try {
      // It looks whether the program is there, and would find fault with the units of this machine, too.
      await mkdir(join(folder, 'usr/local/bin'), { recursive: true });
      await writeFile(join(folder, 'usr/local/bin/hector'), '', { mode: 0o755 });
      await mkdir(join(folder, 'etc/systemd/system'), { recursive: true });
      await cp(unit, join(folder, 'etc/systemd/system/hector.service'));
      await cp('/lib/systemd/system', join(folder, 'usr/lib/systemd/system'), { recursive: true });
      const { ok, output } = await systemdAnalyze('verify', `--root=${folder}`, '--man=no', 'hector.service');
      assert.equal(output, '');
      assert.ok(ok);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('it exposes little: 1.3 of 10, where a unit without a sandbox has 9.2', async () => {
    const { ok, output } = await systemdAnalyze('security', '--offline=true', '--threshold=14', unit);
    assert.ok(ok, output);
    assert.match(output, /Overall exposure level for hector\.service: 1\.[0-3] OK/);
  });
});

/** What the documentation says in the section, or below it, in its order. */
const documented = (first: string) => {
  const found = blocks().find(({ page, text }) => page === 'docs/deployment-binary.md' && text.includes(first));
  assert.ok(found, `no block has ${first}`);
  return found.text;
};

/** All of what the page says the sandbox allows, and slow enough to be seen at work. */
const config = (agent: string) => `
llms: { default: { provider: echo, delay: 100ms } }
agents: { ${agent}: { tools: [] } }
databases: { main: { driver: sqlite, database: /var/lib/hector/hector.db } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
logger: { file: /var/log/hector/hector.log, format: json, level: debug }
`;

/** A process that Hector has started, as it does for an MCP server: it tells when it is told to end. */
const child = `
import { spawn } from 'node:child_process';
const script = 'trap ": > /opt/hector/child-told" TERM; : > /opt/hector/child-started; while :; do sleep 0.1; done';
spawn('sh', ['-c', script], { stdio: 'ignore' }).unref();
export default { apiVersion: 1, name: 'test/child', provides: [] };
`;

describe('a machine that has booted with systemd', { skip: machineMissing }, () => {
  let machine: Machine;
  const work = '/srv/install';
  const write = (path: string, text: string) =>
    machine.shell(`cat > ${path} <<'END_OF_FILE'\n${text.trim()}\nEND_OF_FILE\n`);
  const show = async (property: string) =>
    (await machine.shell(`systemctl show hector --property=${property} --value`)).trim();
  const journaled = (line: RegExp) =>
    until(async () => line.test(await machine.shell('journalctl -u hector -t hector')));
  const agents = async () => machine.shell('curl -sf http://localhost:8080/agents');
  const ask = (text: string) =>
    machine.shell(
      `curl -sf http://localhost:8080/agents/second -H 'Content-Type: application/json' -H 'A2A-Version: 1.0' -d '${JSON.stringify(
        {
          jsonrpc: '2.0',
          id: 1,
          method: 'SendMessage',
          params: { message: { messageId: `m-${text.length}`, role: 'ROLE_USER', parts: [{ text }] } },
        },
      )}'`,
    );
  before(async () => {
    machine = await bootMachine();
    await machine.shell(
      `mkdir -p ${work} && cp ${hectorBinary} ${work}/hector && cp -r ${deployFile('')} ${work}/deploy`,
    );
    await machine.shell(
      'command -v sudo || printf \'#!/bin/sh\\nexec "$@"\\n\' > /usr/bin/sudo && chmod +x /usr/bin/sudo',
    );
    // A machine may not be allowed to raise what it was itself given.
    await write('/tmp/limit', '[Service]\nLimitNOFILE=');
    await machine.shell(
      'mkdir -p /etc/systemd/system/hector.service.d && (cat /tmp/limit; ulimit -Hn) | tr -d "\\n" | sed "s/]/]\\n/" > /etc/systemd/system/hector.service.d/limit.conf',
    );
  });
  after(() => machine?.[Symbol.asyncDispose]());

  test("the guide's commands install and start it, and it serves when start returns", async () => {
    await write(`${work}/config.yaml`, config('first'));
    const output = await machine.shell(documented('useradd'), work);
    assert.match(output, /Active: active \(running\)/);
    assert.match(output, /Status: "Serving generation 1 of \/etc\/hector\/config\.yaml/);
    assert.match(await agents(), /"name":"first"/);
    assert.equal((await machine.shell('systemctl is-enabled hector')).trim(), 'enabled');
    await journaled(/Talk to it/);
  });

  test('what runs is the user hector without a right to anything, and only its own folders can be written to', async () => {
    const pid = await show('MainPID');
    const status = await machine.shell(`cat /proc/${pid}/status`);
    assert.match(status, /NoNewPrivs:\t1/);
    assert.match(status, /Seccomp:\t2/);
    assert.match(status, /CapBnd:\t0+\n/);
    assert.equal((await machine.shell(`stat -c %U /proc/${pid}`)).trim(), 'hector');
    const files = await machine.shell('find /var/lib/hector /var/log/hector -type f -printf "%p %u %m\\n"');
    assert.match(files, /\/var\/lib\/hector\/hector\.db hector 600/);
    assert.match(files, /\/var\/log\/hector\/hector\.log hector 600/);
    assert.match(await machine.shell('ls /var/cache/hector'), /^\d+\.\d+\.\d+-[0-9a-f]{16}\n$/);
    const inside = (command: string) => machine.tryShell(`nsenter -t ${pid} -m sh -c '${command}'`);
    assert.equal((await inside('touch /var/lib/hector/x /opt/hector/x')).code, 0);
    for (const path of ['/etc/hector/x', '/usr/local/bin/x', '/srv/x']) {
      const refused = await inside(`touch ${path}`);
      assert.match(refused.output, /Read-only file system/, path);
    }
    assert.equal((await inside('ls /home /root')).output.replaceAll(/\/\w+:|\s/g, ''), '', 'homes are hidden');
  });

  test('systemctl reload comes back when it is done, and fails when the configuration is refused', async () => {
    // Not by watching: it has been switched off for this.
    await write(
      '/etc/systemd/system/hector.service.d/unwatched.conf',
      `[Service]\nExecStart=\nExecStart=/usr/local/bin/hector serve --config /etc/hector/config.yaml`,
    );
    await machine.shell('systemctl daemon-reload && systemctl restart hector');
    const pid = await show('MainPID');
    await write('/etc/hector/config.yaml', config('second'));
    await machine.shell('systemctl reload hector');
    assert.match(await agents(), /"name":"second"/);
    assert.match(await show('StatusText'), /^Serving generation 2 /);

    await write('/etc/hector/config.yaml', 'agents: { third: { llm: nowhere } }');
    const refused = await machine.tryShell('systemctl reload hector');
    assert.notEqual(refused.code, 0);
    assert.match(await show('StatusText'), /^Serving generation 2 .* refused: .*nowhere/);
    await journaled(/error: The configuration is refused: .*nowhere/);
    assert.match(await agents(), /"name":"second"/);
    assert.equal(await show('ActiveState'), 'active');
    assert.equal(await show('MainPID'), pid);
    await write('/etc/hector/config.yaml', config('second'));
    await machine.shell('systemctl reload hector');
  });

  test('the log is rotated, and no line is lost', async () => {
    await machine.shell(documented('logrotate.d'), work);
    const lines = (files: string) =>
      machine.shell(`cat ${files} | grep -o '"requestId":"r-[0-9]*"' | sort -u | wc -l`).then(Number);
    const request = (n: number) => machine.shell(`curl -sf -H 'X-Request-Id: r-${n}' http://localhost:8080/agents`);
    await request(1);
    await until(async () => (await lines('/var/log/hector/hector.log')) === 1);
    // Hector would notice by itself, some seconds later.
    const rotated = await machine.shell('logrotate --verbose --force /etc/logrotate.d/hector');
    assert.match(rotated, /running postrotate script/);
    assert.match(await readFile(deployFile('logrotate/hector'), 'utf8'), /--signal=SIGUSR2 hector\.service/);
    await until(async () => (await machine.shell('ls /var/log/hector')).split('\n').includes('hector.log'));
    await request(2);
    await until(async () => (await lines('/var/log/hector/hector.log')) === 1);
    assert.equal(await lines('/var/log/hector/*'), 2);
    assert.match(await machine.shell('stat -c "%n %U %a" /var/log/hector/*'), /hector\.log\.1 hector 600/);
  });

  test('it is started anew when it dies, and knows what it knew', async () => {
    const pid = await show('MainPID');
    await machine.shell(`kill -9 ${pid}`);
    await until(async () => !['0', pid].includes(await show('MainPID')), 30_000);
    await until(async () => (await show('ActiveState')) === 'active', 30_000);
    assert.match(await agents(), /"name":"second"/);
    assert.equal(await show('NRestarts'), '1');
  });

  test('systemctl stop lets work end, also when that takes longer than the unit says', async () => {
    await write('/etc/systemd/system/hector.service.d/stop.conf', '[Service]\nTimeoutStopSec=1s');
    await write('/etc/hector/child.mjs', child);
    await write('/etc/hector/config.yaml', `plugins: [./child.mjs]\n${config('second')}`);
    await machine.shell('systemctl daemon-reload && systemctl restart hector');
    const words = Array.from({ length: 40 }, (_, i) => `word${i}`).join(' ');
    const answering = ask(words);
    await until(async () => /"tasks": *1\b/.test(await machine.shell('curl -sf http://localhost:8080/api/status')));
    await machine.shell('systemctl stop hector');
    assert.match(await answering, /TASK_STATE_COMPLETED.*word39/);
    assert.equal(await show('Result'), 'success');
    assert.equal(await machine.shell('ls /opt/hector/child*'), '/opt/hector/child-started\n', 'it got no SIGTERM');
    assert.equal(await show('ExecMainStatus'), '0');
  });

  test('a configuration that is wrong from the start is a start that fails, with the reason in the journal', async () => {
    await write('/etc/hector/config.yaml', 'agents: { third: { llm: nobody } }');
    assert.notEqual((await machine.tryShell('systemctl start hector')).code, 0);
    await journaled(/nobody/);
  });
});

test('the example of the environment has the keys of the guide, as systemd reads them', async () => {
  const lines = (await readFile(deployFile('systemd/environment'), 'utf8')).split('\n');
  const assignments = lines.filter((line) => line !== '' && !line.startsWith('#'));
  assert.deepEqual(assignments, ['OPENAI_API_KEY=sk-...', 'ANTHROPIC_API_KEY=sk-ant-...']);
});
