import { basename, dirname, join, resolve } from 'node:path';
import {
  type ConfigDocument,
  type ConfigProvider,
  configProvider,
  definePlugin,
  errorMessage,
  type Logger,
  Type,
} from '../core/index.ts';
import { fileAnnex } from './file-annex.ts';
import { readContent } from './file-content.ts';
import { mountWarning } from './file-mount.ts';
import { type FileWatch, watchFiles } from './file-watch.ts';
import { writeContent } from './file-write.ts';

/** However quiet the file is, its reader is told so often that it can still be read. */
const heartbeatMs = 30_000;

/** One local file. Its revision is a hash of its content. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/config-file',
  provides: [
    configProvider({
      name: 'file',
      description: 'A local YAML or JSON file',
      options: Type.Object(
        { path: Type.String({ minLength: 1, description: 'The file' }) },
        { additionalProperties: false },
      ),
      create: async ({ path: source }, { folder, logger, warn }) => {
        const path = resolve(folder ?? '', source);
        const warning = await mountWarning(source, path);
        if (warning !== undefined) warn(warning);
        return fileProvider({ source, path, logger });
      },
    }),
  ],
});

interface FileOptions {
  /** As it was given. */
  readonly source: string;
  /** Absolute. */
  readonly path: string;
  readonly logger: Logger;
}

function fileProvider({ source, path, logger }: FileOptions): ConfigProvider {
  return {
    watch: (signal) => watch({ source, path, logger }, signal),
    write: (content, expected, signal) => writeContent(path, content, expected, signal),
    annex: fileAnnex(join(dirname(path), `.${basename(path)}.annex`)),
  };
}

async function* watch({ source, path, logger }: FileOptions, signal: AbortSignal): AsyncGenerator<ConfigDocument> {
  const bell = new Bell();
  const onBlind = (error: unknown) => {
    const reason = errorMessage(error);
    logger.warn({ source, reason }, 'the system does not say when the file changes: it is looked at every two seconds');
  };
  let files: FileWatch | undefined;
  let revision: string | undefined;
  let yieldedAt = 0;
  try {
    while (!signal.aborted) {
      const content = await readContent(path);
      if (content.revision !== revision || Date.now() - yieldedAt >= heartbeatMs) {
        revision = content.revision;
        yieldedAt = Date.now();
        yield { ...content, source, folder: dirname(path) };
      }
      // Told what was read: what has changed since then is a change, however late the watch begins.
      const known = new Map([[path, content.missing ? '' : content.revision]]);
      if (files) files.set(known);
      else files = watchFiles(known, () => bell.ring(), { onBlind });
      await bell.rung(yieldedAt + heartbeatMs - Date.now(), signal);
    }
  } finally {
    await files?.[Symbol.asyncDispose]();
  }
}

/** Remembers that it rang while nobody listened. */
class Bell {
  #ringing = false;
  #wake = () => {};

  ring(): void {
    this.#ringing = true;
    this.#wake();
  }

  /** Once it rings or has rung, after so long, or at the signal. */
  async rung(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#ringing && !signal.aborted) {
      let timer: NodeJS.Timeout | undefined;
      const wake = new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, Math.max(0, ms));
        signal.addEventListener('abort', this.#abort, { once: true });
      });
      await wake;
      clearTimeout(timer);
      signal.removeEventListener('abort', this.#abort);
    }
    this.#ringing = false;
  }

  readonly #abort = () => this.#wake();
}
