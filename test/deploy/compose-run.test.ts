import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { composeMissing } from '../services/compose.ts';
import { consulMissing, startConsul } from '../services/consul.ts';
import { etcdMissing, startEtcd } from '../services/etcd.ts';
import { podman, podmanMissing } from '../services/podman.ts';
import { postgresMissing, startPostgres } from '../services/postgres.ts';
import { startPrometheus } from '../services/prometheus.ts';
import { prometheusMissing } from '../services/promtool.ts';
import { answer, connect, send } from '../support/a2a-client.ts';
import { type Composed, startComposed } from '../support/composed.ts';
import { deployFile } from '../support/deploy-file.ts';
import { otlpOverGrpc } from '../support/otlp-receiver.ts';
import { sharedFolder } from '../support/shared-folder.ts';
import { until } from '../support/until.ts';

const missing = podmanMissing || composeMissing;

/** A task that the first container answers is there for the second; the file's health check passes, and each ends in order. */
async function keepsTasks(stack: Composed): Promise<string> {
  const seconds = Number.parseInt(stack.services['hector']?.stop_grace_period ?? '', 10);
  let id: string;
  {
    await using hector = await stack.up();
    await podman('healthcheck', 'run', hector.name);
    const task = await send(await connect(stack.url), 'remember');
    assert.equal(answer(task), 'remember');
    ({ id } = task);
    assert.equal(await hector.stop(seconds), 0);
  }
  await using hector = await stack.up();
  const again = await (await connect(stack.url)).getTask({ tenant: '', id, historyLength: undefined });
  assert.equal(again.id, id);
  assert.equal(await hector.stop(seconds), 0);
  return id;
}

test('compose/basic runs, and keeps its tasks', { skip: missing }, async () => {
  await using stack = await startComposed(deployFile('compose/basic/compose.yaml'));
  await keepsTasks(stack);
});

test('compose/postgres runs with a real Postgres, and keeps its tasks there', {
  skip: missing || postgresMissing,
}, async () => {
  await using postgres = await startPostgres();
  await using stack = await startComposed(deployFile('compose/postgres/compose.yaml'), {
    beside: { 'postgres:5432': postgres.port },
    environment: { DB_PASSWORD: 'chosen-here' },
  });
  // What the image of Postgres makes of its variables.
  const { environment = {}, healthcheck } = stack.services['postgres'] ?? {};
  const { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: database } = environment;
  assert.equal(password, 'chosen-here');
  await postgres.query(`CREATE ROLE "${user}" LOGIN PASSWORD '${password}'`);
  await postgres.query(`CREATE DATABASE "${database}" OWNER "${user}"`);
  const [kind, ...check] = healthcheck?.test ?? [];
  assert.equal(kind, 'CMD');
  assert.match(await postgres.shell(check.join(' '), postgres.folder), /accepting connections/);

  const id = await keepsTasks(stack);
  const [row] = await postgres.query(`SELECT count(*)::int AS found FROM hector_tasks WHERE id = '${id}'`, database);
  assert.deepEqual(row, { found: 1 });
});

/** The store is seeded once, followed, and changed by the commands in the head of the file. */
async function followsItsStore(t: { after(work: () => unknown): void }, stack: Composed) {
  await stack.run('seed');
  await using hector = await stack.up();
  assert.equal(answer(await send(await connect(stack.url, 'assistant'), 'hello')), 'hello');

  const folder = await sharedFolder(t);
  const next = `${await stack.run('seed', ['hector', 'config', 'pull'])}\n  second: {}\n`;
  await writeFile(join(folder, 'next.yaml'), next);
  const options = ['--volume', `${join(folder, 'next.yaml')}:/next.yaml:ro`];
  await stack.run('seed', ['hector', 'config', 'push', '/next.yaml'], options);
  const card = async () => (await fetch(`${stack.url}/agents/second/.well-known/agent-card.json`)).status;
  await until(async () => (await card()) === 200);
  // As `up` does it the next time.
  await stack.run('seed');
  assert.match(await stack.run('seed', ['hector', 'config', 'pull']), /second/);
  assert.equal(await card(), 200);
  await podman('healthcheck', 'run', hector.name);
  assert.equal(await hector.stop(35), 0);
}

test('compose/consul runs with a real Consul, and follows it', { skip: missing || consulMissing }, async (t) => {
  await using consul = await startConsul();
  await using stack = await startComposed(deployFile('compose/consul/compose.yaml'), {
    beside: { 'consul:8500': consul.port },
  });
  const [kind, check = ''] = stack.services['consul']?.healthcheck?.test ?? [];
  assert.equal(kind, 'CMD-SHELL');
  await stack.run('seed', ['sh', '-c', check.replace('127.0.0.1', 'consul')]);
  await assert.rejects(stack.run('seed', ['sh', '-c', check]));
  await followsItsStore(t, stack);
});

test('compose/etcd runs with a real etcd, and follows it', { skip: missing || etcdMissing }, async (t) => {
  await using etcd = await startEtcd();
  await using stack = await startComposed(deployFile('compose/etcd/compose.yaml'), {
    beside: { 'etcd:2379': etcd.port },
  });
  const [kind, program, ...check] = stack.services['etcd']?.healthcheck?.test ?? [];
  assert.deepEqual([kind, program], ['CMD', 'etcdctl']);
  await etcd.ctl(...check);
  await followsItsStore(t, stack);
});

test('compose/observability runs: a real Prometheus scrapes it, and its traces arrive', {
  skip: missing || prometheusMissing,
}, async () => {
  await using jaeger = await otlpOverGrpc();
  await using stack = await startComposed(deployFile('compose/observability/compose.yaml'), {
    beside: { 'jaeger:4317': Number(new URL(`http://${jaeger.endpoint}`).port) },
  });
  await using hector = await stack.up();
  await using prometheus = await startPrometheus(new URL(stack.url).host);
  await send(await connect(stack.url), 'hello');
  await until(() => jaeger.spans.length > 0, 30_000);
  await until(async () => {
    const [requests] = await prometheus.query('sum(hector_agent_requests_total{job="hector"})');
    return (requests?.value ?? 0) >= 1;
  }, 30_000);
  assert.equal(await hector.stop(35), 0);
});
