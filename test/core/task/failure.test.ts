import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Secrets } from '../../../core/config/secrets.ts';
import { HectorError, LlmError } from '../../../core/errors.ts';
import { failureDetails, failureSentence } from '../../../core/task/failure.ts';

const secrets = new Secrets(['sk-canary-123']);
const told = (error: unknown) => failureSentence(error, 'writer', secrets);

test('the caller is told the sentence of the error', () => {
  assert.equal(told(new LlmError('timeout', 'The model was silent for 60 s.')), 'The model was silent for 60 s.');
  assert.equal(told(new Error('The shop is closed.')), 'The shop is closed.');
  assert.equal(told('out of paper'), 'out of paper');
  assert.equal(told(new Error('')), 'The agent "writer" failed and did not say why.');
});

test('the caller is told no secret', () => {
  assert.equal(told(new HectorError('x', 'The key sk-canary-123 is not valid.')), 'The key *** is not valid.');
});

test('the caller is not told how the program is made', async () => {
  assert.equal(
    told(new TypeError('x.y is not a function')),
    'The agent "writer" failed (TypeError). The log has the details.',
  );
  const missing = await readFile('/nowhere/secret-place').catch((error: unknown) => error);
  assert.equal(told(missing), 'The agent "writer" failed (ENOENT). The log has the details.');
  const error = new Error('outer');
  assert.equal(told(new Error(`It broke: ${error.stack}`)), 'It broke: Error: outer');
  assert.ok(told(new Error('x'.repeat(1e6))).length <= 2_000);
});

test('the log is told everything but the secrets', () => {
  const details = failureDetails(new HectorError('a_code', 'with sk-canary-123'), secrets) as {
    code: string;
    error: string;
  };
  assert.equal(details.code, 'a_code');
  assert.match(details.error, /with \*\*\*[\s\S]*failure\.test\.ts/);
});
