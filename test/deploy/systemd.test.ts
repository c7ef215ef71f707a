import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { systemdAnalyze, systemdMissing } from '../services/systemd.ts';
import { deployFile } from '../support/deploy-file.ts';

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
