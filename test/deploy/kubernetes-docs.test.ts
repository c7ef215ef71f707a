import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { blocks, root } from '../docs/blocks.ts';
import { helmMissing, helmProgram } from '../services/helm.ts';
import { apiServerMissing, startApiServer } from '../services/kube-apiserver.ts';

const all = blocks().filter(({ page, language }) => page === 'docs/deployment-kubernetes.md' && language === 'sh');

describe('the documentation of Kubernetes', { skip: apiServerMissing || helmMissing }, () => {
  for (const note of ['in a cluster', 'in another cluster']) {
    test(`its commands run, one after the other, ${note}`, async () => {
      const own = all.filter((block) => block.note === `run by test/deploy/kubernetes-docs.test.ts ${note}`);
      assert.ok(own.length > 1);
      await using api = await startApiServer();
      await symlink(helmProgram(), join(api.folder, 'bin/helm'));
      const folder = await mkdtemp(join(tmpdir(), 'hector-in-a-cluster-'));
      try {
        await symlink(join(root, 'deploy'), join(folder, 'deploy'));
        await mkdir(join(folder, 'home'));
        const env = {
          HOME: join(folder, 'home'),
          OPENAI_API_KEY: 'sk-of-the-docs',
          KUBE_EDITOR: 'sed -i s/gpt-4o/gpt-5/',
        };
        for (const { page, line, text } of own)
          await api.shell(text, env, folder).catch((error: { stdout: string; stderr: string }) => {
            assert.fail(`${page}:${line}: ${error.stdout}${error.stderr}`);
          });
        const key = await api.shell("kubectl get secret hector-secrets -n hector -o jsonpath='{.data.OPENAI_API_KEY}'");
        assert.equal(Buffer.from(key, 'base64').toString(), env.OPENAI_API_KEY, 'no placeholder has taken its place');
        const host = await api.shell("kubectl get ingress hector -n hector -o jsonpath='{.spec.tls[0].hosts[0]}'");
        assert.equal(host, 'agents.example.com');
        const config = await api.shell(
          "kubectl get configmap hector-config -n hector -o jsonpath='{.data.config\\.yaml}'",
        );
        assert.match(config, /public_url: https:\/\/agents\.example\.com/);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
