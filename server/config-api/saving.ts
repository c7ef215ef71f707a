import type { ParameterizedContext } from 'koa';
import type { ConfigControl } from '../../core/config/control.ts';
import { ConfigError } from '../../core/config/issue.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { ConfigContent } from '../../core/extension/config-provider.ts';
import { HttpError } from '../http-error.ts';
import type { RequestState } from '../state.ts';
import { sendJson, sendRefusal, sourceFailure } from './answers.ts';
import { readContent, tooLarge } from './content.ts';
import { refuseFixedChanges } from './fixed-sections.ts';
import { isConditional, replaceable, tagOf } from './revision-tag.ts';

type Context = ParameterizedContext<RequestState>;

const sourceMs = 30_000;
/** Each may hold some megabytes, and all but one of them will lose. */
const maxSaves = 4;

/** What a source says of a content that it does not take. */
const unfit: ReadonlySet<string | undefined> = new Set([
  'invalid_content',
  'invalid_entry',
  'invalid_key',
  'invalid_path',
]);
const unwritable: ReadonlySet<string | undefined> = new Set(['forbidden', 'read_only', 'config_unwritable']);

/** Checks a configuration and writes it to the source, if that still has what the caller has seen. */
export function saving(control: ConfigControl): (ctx: Context) => Promise<void> {
  let saves = 0;
  return async (ctx) => {
    if (saves >= maxSaves)
      throw new HttpError(503, 'too_busy', 'Other configurations are being saved. Try again.', {
        headers: { 'Retry-After': '1' },
      });
    saves++;
    try {
      await save(ctx, control);
    } finally {
      saves--;
    }
  };
}

async function save(ctx: Context, control: ConfigControl): Promise<void> {
  ctx.set('Cache-Control', 'no-store');
  const content = await readContent(ctx.req);
  const current = await control.read(AbortSignal.timeout(sourceMs)).catch((error: unknown) => {
    throw sourceFailure(error);
  });
  const expected = replaceable(ctx.req, current);
  try {
    refuseFixedChanges(current, content);
    await control.check(content);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    sendRefusal(ctx, 400, error);
    return;
  }
  const revision = await write(ctx, control, content, expected);
  const { principal, logger } = ctx.state;
  logger.info({ source: current.source, revision, by: principal.subject }, 'the configuration was changed over HTTP');
  ctx.set('ETag', tagOf(revision));
  const next = control.status().watching
    ? 'It serves as soon as it has been read again; GET /api/config/status tells.'
    : 'POST /api/config/reload serves it.';
  sendJson(ctx, 200, { status: 'saved', revision, message: `The configuration is saved. ${next}` });
}

/** Goes on when the caller leaves: a write that was given up half-way is one of which nobody knows whether it was done. */
async function write(
  { req }: Context,
  control: ConfigControl,
  content: ConfigContent,
  expected: string | undefined,
): Promise<string> {
  try {
    return await control.write(content, expected, AbortSignal.timeout(sourceMs));
  } catch (error) {
    const code = errorCode(error);
    const message = errorMessage(error);
    const because = { cause: error };
    if (code === 'conflict') throw new HttpError(isConditional(req) ? 412 : 409, code, message, because);
    if (code === 'too_large') throw tooLarge(message);
    if (unfit.has(code)) throw new HttpError(400, code as string, message, because);
    if (unwritable.has(code)) throw new HttpError(403, code as string, message, because);
    throw sourceFailure(error);
  }
}
