import Router from '@koa/router';
import type { ParameterizedContext } from 'koa';
import type { ConfigControl } from '../../core/config/control.ts';
import { ConfigError } from '../../core/config/issue.ts';
import type { ReloadEvent } from '../../core/config/status.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { Registry } from '../../core/plugin/registry.ts';
import { HttpError } from '../http-error.ts';
import { onResponseClose } from '../response-close.ts';
import type { RequestState } from '../state.ts';
import { access } from './access.ts';
import { placed, sendJson, sendRefusal, sourceFailure } from './answers.ts';
import { requireMediaType } from './content.ts';
import { isTagged, tagOf } from './revision-tag.ts';
import { saving } from './saving.ts';
import { schemaText } from './schema-text.ts';

export interface ConfigRoutesOptions {
  readonly control: ConfigControl;
  /** Whether the configuration can be seen and changed, and not only asked about. */
  studio(): boolean;
  /** What can be configured just now; `undefined` before anything serves. */
  registry(): Registry | undefined;
  /** Of the process as a whole. */
  status(): Promise<object>;
}

type Context = ParameterizedContext<RequestState>;

/** The configuration over HTTP. Its routes need no lease, so they are there before the first configuration, too. */
export function configRoutes({
  control,
  studio,
  registry,
  status: statusOf,
}: ConfigRoutesOptions): Router<RequestState> {
  const router = new Router<RequestState>({ prefix: '/api' });
  const reload = shared(() => control.reload());
  const save = saving(control);
  const withStudio = () => {
    if (!studio()) throw studioDisabled();
  };

  router.use(access());
  router.get('/config/status', (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    sendJson(ctx, 200, placed(control.status()));
  });
  router.get('/status', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    sendJson(ctx, 200, await statusOf());
  });
  router.post('/config/reload', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    requireMediaType(ctx.req);
    try {
      const { result, durationSeconds } = await reload();
      sendJson(ctx, 200, { result, duration_seconds: durationSeconds, status: placed(control.status()) });
    } catch (error) {
      const status = control.status();
      if (!isRefusal(error, status.error?.message)) throw sourceFailure(error);
      sendRefusal(ctx, 422, error, { status: placed(status) });
    }
  });
  router.get('/config', async (ctx) => {
    withStudio();
    await sendConfig(ctx, control);
  });
  for (const method of ['put', 'post'] as const) {
    router[method]('/config', (ctx) => {
      withStudio();
      requireMediaType(ctx.req);
      return save(ctx);
    });
  }
  router.get('/schema', (ctx) => {
    withStudio();
    const known = registry();
    if (!known)
      throw new HttpError(503, 'not_ready', 'No configuration is loaded yet.', { headers: { 'Retry-After': '1' } });
    const { text, etag } = schemaText(known);
    ctx.set({ 'Cache-Control': 'private, no-cache', ETag: etag });
    if (isTagged(String(ctx.req.headers['if-none-match'] ?? ''), etag)) ctx.status = 304;
    else {
      ctx.set('Content-Type', 'application/schema+json');
      ctx.body = text;
    }
  });
  return router;
}

/** As the source has it, with references in place of what they stand for. */
async function sendConfig(ctx: Context, control: ConfigControl): Promise<void> {
  const gone = new AbortController();
  onResponseClose(ctx.req, ctx.res, () => gone.abort());
  const document = await control.read(gone.signal).catch((error: unknown) => {
    throw sourceFailure(error);
  });
  const { text, entries, revision, source, missing } = document;
  if (missing) throw new HttpError(404, 'config_missing', `There is no configuration at ${source} yet. PUT one here.`);
  ctx.set({ 'Cache-Control': 'no-store', ETag: tagOf(revision) });
  if (isTagged(String(ctx.req.headers['if-none-match'] ?? ''), tagOf(revision))) ctx.status = 304;
  else if (entries) sendJson(ctx, 200, { entries: Object.fromEntries(entries) });
  else {
    ctx.status = 200;
    ctx.set('Content-Type', 'application/yaml');
    ctx.body = text;
  }
}

/** The document was read and is at fault, not the way to it. */
function isRefusal(error: unknown, refused: string | undefined): boolean {
  if (error instanceof ConfigError) return true;
  const code = errorCode(error);
  return code === 'config_missing' || code === 'config_empty' || refused === errorMessage(error);
}

/** Calls that come while one is under way are answered by it. */
function shared(reload: () => Promise<ReloadEvent>): () => Promise<ReloadEvent> {
  let running: Promise<ReloadEvent> | undefined;
  return () => {
    running ??= reload().finally(() => {
      running = undefined;
    });
    return running;
  };
}

function studioDisabled(): HttpError {
  return new HttpError(
    403,
    'studio_disabled',
    'The configuration is neither shown nor changed over HTTP. Start Hector with --studio, or set server.studio.enabled, to allow it.',
  );
}
