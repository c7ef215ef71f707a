import { isAbsolute, resolve } from 'node:path';
import { bytes, definePlugin, documentStore, HectorError, type Static, Type } from '../../core/index.ts';
import { DirectoryIndex } from './directory-index.ts';
import { PathFilter } from './folder.ts';
import { followFolder } from './folder-watch.ts';

const textFiles =
  'md,mdx,markdown,txt,text,rst,adoc,org,tex,html,htm,xml,json,jsonl,yaml,yml,toml,ini,csv,tsv,sql,graphql,proto,' +
  'js,mjs,cjs,jsx,ts,mts,cts,tsx,vue,svelte,css,scss,py,rb,php,pl,lua,r,go,rs,java,kt,scala,swift,cs,c,h,cc,cpp,hpp,sh,bash,ps1,tf';

const fileSize = Type.Union(
  [
    Type.Integer({ minimum: 1 }),
    Type.String({ pattern: '^[0-9]+(\\.[0-9]+)?\\s*(B|KB|MB|GB|KiB|MiB|GiB)?$', 'x-format': 'size' }),
  ],
  { default: '10MiB', description: 'Larger files are left out' },
);

const globs = (defaultValue: string[], description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { default: defaultValue, description });

const DirectoryOptions = Type.Object(
  {
    path: Type.String({ minLength: 1, description: 'The folder, relative to the configuration' }),
    include: globs([`**/*.{${textFiles}}`], 'Globs of the files to index, relative to the folder'),
    exclude: globs(
      ['.*', 'node_modules', '__pycache__', 'vendor', '.git'],
      'Globs of what to leave out; each is held against the whole path and against every name in it',
    ),
    max_file_size: fileSize,
  },
  { additionalProperties: false },
);

/** Text files below a folder, in an embedded full-text index that is built at start and kept in memory. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/documents-directory',
  provides: [
    documentStore({
      name: 'directory',
      description: 'Text files below a folder, in an embedded full-text index',
      options: DirectoryOptions,
      async create(options, { name, folder, settings, logger, signal, warn }) {
        const owner = `document_stores.${name}`;
        const { size, overlap, preserve_words } = settings.chunking;
        if (overlap >= size) {
          throw new HectorError(
            'document_store_unusable',
            `${owner}.chunking.overlap is ${overlap}, but must be smaller than chunking.size, which is ${size}.`,
          );
        }
        const root = rootOf(options, folder, owner);
        const maxFileSize =
          typeof options.max_file_size === 'number' ? options.max_file_size : bytes(options.max_file_size);
        const filter = { include: options.include, exclude: options.exclude, maxFileSize };
        const index = new DirectoryIndex({ root, filter, cut: { size, overlap, preserveWords: preserve_words } });

        const first = await index.update(signal).catch((cause: unknown) => {
          signal.throwIfAborted();
          throw unreadable(owner, root, cause);
        });
        for (const problem of first.problems) warn(`${owner}: ${problem}`);
        logger.info({ documents: index.documents, passages: index.passages }, 'a folder is indexed');

        const paths = new PathFilter(filter);
        const watch = settings.watch
          ? await followFolder(root, {
              ignores: (path) => paths.excludes(path),
              update: async (closing) => {
                const { changed, problems } = await index.update(closing);
                for (const problem of problems) logger.warn({ folder: root, problem }, 'a folder is not indexed whole');
                if (changed)
                  logger.info({ documents: index.documents, passages: index.passages }, 'a folder has changed');
              },
              failed: (err) =>
                logger.warn({ err, folder: root }, 'a folder cannot be followed; what was indexed goes on answering'),
            })
          : undefined;
        return {
          search: async (request, searchSignal) => {
            searchSignal.throwIfAborted();
            return index.search(request.query, request.limit ?? settings.search.top_k);
          },
          async [Symbol.asyncDispose]() {
            await watch?.[Symbol.asyncDispose]();
            index.clear();
          },
        };
      },
    }),
  ],
});

function rootOf({ path }: Static<typeof DirectoryOptions>, folder: string | undefined, owner: string): string {
  if (!isAbsolute(path) && folder === undefined) {
    throw new HectorError(
      'document_store_unusable',
      `${owner}.source.path is the relative path "${path}", and this configuration does not come from a folder that it could start from. Give an absolute path.`,
    );
  }
  return resolve(folder ?? '', path);
}

function unreadable(owner: string, root: string, cause: unknown): HectorError {
  const code = (cause as NodeJS.ErrnoException).code;
  const reason =
    code === 'ENOENT'
      ? 'there is no such folder'
      : code === 'ENOTDIR'
        ? 'it is not a folder'
        : (cause as Error).message;
  return new HectorError('document_store_unusable', `${owner}.source.path: ${root} cannot be indexed: ${reason}.`, {
    cause,
  });
}
