import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { composeMissing, readCompose } from '../services/compose.ts';
import { deployFile } from '../support/deploy-file.ts';
import { cleanEnvironment } from '../support/hector.ts';

const root = join(import.meta.dirname, '../..');
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

const stacks = {
  basic: [deployFile('compose/basic/compose.yaml'), deployFile('compose/basic/config/config.yaml')],
  postgres: [deployFile('compose/postgres/compose.yaml'), deployFile('compose/postgres/config/config.yaml')],
  consul: [deployFile('compose/consul/compose.yaml'), deployFile('compose/consul/config/config.yaml')],
  etcd: [deployFile('compose/etcd/compose.yaml'), deployFile('compose/etcd/config/config.yaml')],
  observability: [
    deployFile('compose/observability/compose.yaml'),
    deployFile('compose/observability/config/config.yaml'),
  ],
} as const;

for (const [name, [path, config]] of Object.entries(stacks)) {
  test(`compose/${name}: starts with one command and nothing set`, { skip: composeMissing }, async () => {
    const { project, warnings } = await readCompose(path);
    assert.equal(warnings, '', 'a variable has no default, or a key is obsolete');
    const { hector } = project.services;
    assert.ok(hector);
    assert.deepEqual(hector.healthcheck?.test.slice(0, 2), ['CMD', 'wget']);
    for (const service of Object.values(project.services)) {
      assert.match(service.image, /:[\w.-]*\d[\w.-]*$/, 'a version is named');
      for (const other of Object.keys(service.depends_on ?? {})) assert.ok(project.services[other], other);
      for (const { type, source } of service.volumes ?? []) {
        if (type === 'bind') await access(source);
        else assert.ok(project.volumes && source in project.volumes, `there is no volume ${source}`);
      }
      if (!service.image.includes('hector')) continue;
      assert.equal(service.image, `ghcr.io/verikod/hector:${version}`);
      assert.deepEqual(service.build, { context: root, dockerfile: 'deploy/docker/Dockerfile' });
    }
    // Longer than Hector waits for work in flight: 30 s, where the configuration does not say otherwise.
    assert.ok(Number.parseInt(hector.stop_grace_period ?? '', 10) > 30);
    assert.doesNotMatch(await readFile(config, 'utf8'), /shutdown/);
  });

  test(`compose/${name}: its configuration is valid`, async () => {
    await promisify(execFile)(process.execPath, [join(root, 'dist/server/cli.js'), 'validate', config], {
      env: cleanEnvironment({ DB_PASSWORD: 'of-the-test' }),
    });
  });
}

test('the reader refuses what docker compose refuses: the guide has `interval: 5`', {
  skip: composeMissing,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-compose-'));
  try {
    const path = join(folder, 'compose.yaml');
    const text = await readFile(stacks.basic[0], 'utf8');
    await writeFile(path, text.replace('interval: 5s', 'interval: 5'));
    await assert.rejects(readCompose(path), /healthcheck\.interval must be a string/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe('compose/observability', { skip: composeMissing }, () => {
  test('Prometheus reads deploy/prometheus, and finds Hector under the name that is there', async () => {
    const { services } = (await readCompose(stacks.observability[0])).project;
    const mounted = services['prometheus']?.volumes?.find(({ target }) => target === '/etc/prometheus');
    assert.equal(mounted?.source, join(deployFile('prometheus/prometheus.yml'), '..'));
    const { scrape_configs } = parse(await readFile(deployFile('prometheus/prometheus.yml'), 'utf8')) as {
      scrape_configs: { static_configs: { targets: string[] }[] }[];
    };
    const targets = scrape_configs.flatMap((job) => job.static_configs.flatMap(({ targets }) => targets));
    assert.deepEqual(
      targets,
      services['hector']?.networks?.['default']?.aliases?.map((alias) => `${alias}:8080`),
    );
  });

  test('Grafana is provisioned with both sources and the dashboards of deploy/grafana', async () => {
    const { services } = (await readCompose(stacks.observability[0])).project;
    const sourceOf = (path: string) =>
      services['grafana']?.volumes?.find(({ target }) => target === path)?.source ?? '';
    // Grafana looks for these two folders, by their names.
    const provisioning = sourceOf('/etc/grafana/provisioning');
    assert.equal(
      join(provisioning, 'datasources/hector.yaml'),
      deployFile('compose/observability/grafana/datasources/hector.yaml'),
    );
    assert.equal(
      join(provisioning, 'dashboards/hector.yaml'),
      deployFile('compose/observability/grafana/dashboards/hector.yaml'),
    );
    const read = async (name: string) => parse(await readFile(join(provisioning, name), 'utf8')) as unknown;
    const { apiVersion, datasources } = (await read('datasources/hector.yaml')) as {
      apiVersion: number;
      datasources: { type: string; access: string; url: string; isDefault?: boolean }[];
    };
    assert.equal(apiVersion, 1);
    const urls = datasources.map(({ url }) => new URL(url));
    assert.deepEqual(
      urls.map(({ hostname }) => hostname),
      ['prometheus', 'jaeger'],
    );
    for (const { hostname, port } of urls)
      assert.deepEqual(
        services[hostname]?.ports?.map(({ target }) => String(target)),
        [port],
      );
    assert.deepEqual(
      datasources.filter(({ isDefault }) => isDefault).map(({ type }) => type),
      ['prometheus'],
    );
    const { providers } = (await read('dashboards/hector.yaml')) as {
      providers: { type: string; options: { path: string } }[];
    };
    for (const { type, options } of providers) {
      assert.equal(type, 'file');
      const dashboards = (await readdir(sourceOf(options.path))).filter((name) => name.endsWith('.json'));
      assert.deepEqual(dashboards.sort(), ['hector-agents.json', 'hector-runtime.json']);
    }
  });

  test("Hector's traces go to Jaeger", async () => {
    const { services } = (await readCompose(stacks.observability[0])).project;
    const { observability } = parse(await readFile(stacks.observability[1], 'utf8')) as {
      observability: { tracing: { endpoint: string } };
    };
    const { hostname, port } = new URL(observability.tracing.endpoint);
    assert.ok(services[hostname], hostname);
    // OTLP by gRPC, as Jaeger takes it without being told.
    assert.equal(port, '4317');
  });
});
