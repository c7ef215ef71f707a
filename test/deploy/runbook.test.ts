import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { root } from '../docs/blocks.ts';
import { prometheusMissing, promtool } from '../services/promtool.ts';
import { command } from '../support/command-line.ts';
import { deployFile } from '../support/deploy-file.ts';
import { startHector } from '../support/hector.ts';

interface Rule {
  readonly alert: string;
  readonly annotations: { readonly runbook_url?: string };
}

const rules = (parse(readFileSync(deployFile('prometheus/alerts.yml'), 'utf8')).groups as { rules: Rule[] }[]).flatMap(
  (group) => group.rules,
);
const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
const runbook = page.slice(page.indexOf('\n## Alerts\n'));
const sections = new Map(
  runbook
    .split('\n### ')
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section] as const),
);
/** What stands in backticks, over line ends too. */
const codes = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll('\n', ' '));
const inPage = codes(page.replaceAll(/```[\s\S]*?```/g, ''));

function sources(folder: string): string {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return sources(path);
      return path.endsWith('.ts') ? readFileSync(join(root, path), 'utf8') : '';
    })
    .join('\n');
}

describe('the runbook', () => {
  test('has a section for each alert, an alert for each section, and each alert leads to its own', () => {
    assert.deepEqual([...sections.keys()].sort(), rules.map(({ alert }) => alert).sort());
    for (const { alert, annotations } of rules) {
      const url = `https://github.com/verikod/hector/blob/main/docs/operations.md#${alert.toLowerCase()}`;
      assert.equal(annotations.runbook_url, url);
    }
  });

  test('says of each what it is, how to see it, what is likely and what to do', () => {
    for (const [alert, section] of sections) {
      for (const part of ['**See**', '**Likely**', '**Do**']) assert.ok(section.includes(part), `${alert}: ${part}`);
      assert.ok(section.indexOf('**See**') > alert.length + 20, `${alert} does not say what it means`);
    }
  });

  const expressions = inPage.filter((code) => /\b(?:hector|nodejs|process)_\w+/.test(code));

  test('names metrics that there are', () => {
    const known = readFileSync(join(root, 'docs/observability.md'), 'utf8');
    const names = new Set(expressions.flatMap((code) => code.match(/\b(?:hector|nodejs|process)_\w+/g) ?? []));
    assert.ok(names.size > 20, [...names].join());
    for (const name of names) {
      const metric = name.replace(/_(?:bucket|sum|count)$/, '');
      assert.match(known, new RegExp(`^\\| \`${metric}[\`{]`, 'm'), name);
    }
  });

  test('has queries that Prometheus takes', { skip: prometheusMissing }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-runbook-'));
    try {
      const file = join(folder, 'rules.yml');
      const asRules = expressions.map((expr, index) => ({ record: `runbook:${index}`, expr }));
      await writeFile(file, JSON.stringify({ groups: [{ name: 'runbook', rules: asRules }] }));
      const { ok, output } = await promtool(['check', 'rules', file]);
      assert.ok(ok, output);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('names lines of the log that are written', () => {
    const all = ['core', 'server', 'providers', 'plugins'].map(sources).join('\n');
    const messages = inPage.flatMap((code) => /^msg="(.+)"$/.exec(code)?.[1] ?? []);
    assert.ok(messages.length > 10, messages.join('\n'));
    for (const message of messages) assert.ok(all.includes(`'${message}'`), message);
  });

  test('names paths that are answered', async () => {
    await using hector = await startHector({
      config:
        'llms: { default: { provider: echo } }\nagents: { assistant: {} }\nobservability: { metrics: { enabled: true } }\n',
    });
    const asked = new Set(inPage.flatMap((code) => /^(?:GET|POST) \/\S+$/.exec(code)?.[0] ?? []));
    assert.ok(asked.size >= 6, [...asked].join());
    for (const each of asked) {
      const [method = '', path = ''] = each.split(' ');
      const response = await fetch(`${hector.url}${path}`, { method });
      assert.ok(response.ok, `${each}: ${response.status}`);
    }
  });

  test('names commands and flags that there are', async () => {
    const commands = new Set(inPage.filter((code) => code.startsWith('hector ')));
    assert.ok(commands.size > 8, [...commands].join());
    const helps = new Map<string, string>();
    for (const each of commands) {
      const words = /^hector ((?:[a-z]+ ?)+)/.exec(each)?.[1]?.trim().split(' ') ?? [];
      const key = words.join(' ');
      if (!helps.has(key)) {
        const { code, stdout } = await command([...words, '--help']);
        assert.equal(code, 0, each);
        assert.match(stdout, new RegExp(`^Usage: hector ${key}\\b`), each);
        helps.set(key, stdout);
      }
      for (const [flag] of each.matchAll(/--[a-z-]+/g)) assert.ok(helps.get(key)?.includes(flag), `${each}: ${flag}`);
    }
  });
});
