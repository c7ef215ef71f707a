import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { contentHash } from '../../core/config/content-hash.ts';
import type { ConfigIssue } from '../../core/config/issue.ts';
import { formatPath } from '../../core/config/issue.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { badConfigs, besideBadConfigs, goodConfig } from '../support/bad-configs.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';

/** Asks the agent all the time. */
class Asking {
  readonly #url: string;
  readonly #failures: string[] = [];
  #answers = 0;
  #done = false;
  readonly #asking: Promise<unknown>;

  constructor(url: string, width: number) {
    this.#url = url;
    this.#asking = Promise.all(Array.from({ length: width }, () => this.#ask()));
  }

  get answers(): number {
    return this.#answers;
  }

  /** Those since this was asked last. */
  failures(): readonly string[] {
    return this.#failures.splice(0);
  }

  async end(): Promise<void> {
    this.#done = true;
    await this.#asking;
  }

  #fail(failure: string): void {
    if (this.#failures.length < 5) this.#failures.push(failure);
  }

  async #ask(): Promise<void> {
    while (!this.#done) {
      const said = `word ${this.#answers}`;
      try {
        const params = { message: userMessage(said) };
        const { status, body } = await rpc(`${this.#url}/agents/steady`, 'SendMessage', params, { version: '1.0' });
        if (status !== 200 || !JSON.stringify(body.result).includes(said))
          this.#fail(`${status} ${JSON.stringify(body)}`);
      } catch (error) {
        this.#fail(String(error));
      }
      this.#answers++;
    }
  }
}

const describeIssue = ({ rule, line, column, path }: ConfigIssue) =>
  `${rule} ${line}:${column} ${formatPath(path)}`.trimEnd();

describe('a hundred kinds of bad configuration, one after the other, while it serves', () => {
  let hector: Hector;
  let asking: Asking;
  let path: string;
  let good = 0;

  const statusOf = async () =>
    (await (await fetch(`${hector.url}/api/config/status`)).json()) as ConfigStatus & {
      error?: { issues: readonly { file?: string }[] };
    };
  const serving = async () => (await statusOf()).serving?.content_hash;
  const refusals = () => hector.stderr().match(/refused a configuration|cannot be reached/g)?.length ?? 0;

  before(async () => {
    hector = await startHector({ config: goodConfig('g0'), files: besideBadConfigs, args: ['--watch'] });
    path = join(hector.folder, 'config.yaml');
    asking = new Asking(hector.url, 2);
  });
  after(async () => {
    await asking?.end();
    await hector?.[Symbol.asyncDispose]();
  });

  assert.ok(badConfigs.length >= 100, `${badConfigs.length} kinds`);
  for (const { name, text, wrong, says, unreadable } of badConfigs) {
    test(name, async () => {
      const before = { serving: await serving(), refusals: refusals(), answers: asking.answers };
      if (text === undefined) await rm(path);
      else await writeFile(path, text);
      await until(async () => {
        const { state, connection_error: lost, error } = await statusOf();
        if (unreadable) return lost !== undefined;
        const hash = contentHash({ text: String(text ?? '').replace(/^\ufeff/, '') });
        return state === 'rejected' && error?.content_hash === hash;
      }, 20_000);

      const status = await statusOf();
      const { error, connection_error: lost, state } = status;
      if (unreadable) {
        assert.equal(state, 'degraded');
        assert.match(lost ?? '', says);
      } else {
        const [issue] = error?.issues ?? [];
        assert.equal(issue ? describeIssue(issue) : error?.code, wrong);
        assert.match(error?.message ?? '', says);
        assert.ok(error?.revision && Date.parse(error.at) > 0);
        if (issue) assert.equal(issue.file, path);
      }
      assert.equal(status.serving?.content_hash, before.serving, 'what served goes on');
      await until(() => refusals() === before.refusals + 1);

      const next = goodConfig(`g${++good}`);
      const written = performance.now();
      await writeFile(path, next);
      await until(async () => (await serving()) === contentHash({ text: next }), 20_000);
      const recovered = performance.now() - written;
      assert.ok(recovered < 8_000, `a good one serves after ${Math.round(recovered)} ms`);
      const mended = await statusOf();
      assert.deepEqual([mended.state, mended.error, mended.connection_error], ['current', undefined, undefined]);
      assert.equal(refusals(), before.refusals + 1, 'told once');
      assert.deepEqual(asking.failures(), []);
      assert.ok(asking.answers > before.answers);
    });
  }
});
