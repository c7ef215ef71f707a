import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { definePlugin, errorCode, errorMessage, HectorError, secretStore, Type } from '../../core/index.ts';

const maxBytes = 1024 * 1024;
/** A name in one folder: Kubernetes calls keys so, and `..data`, which it keeps beside them, is none. */
const keyForm = /^(?!\.\.)[A-Za-z0-9._-]{1,253}$/;

const directory = secretStore({
  name: 'directory',
  description: 'A folder with a file for each secret, as Kubernetes and Docker mount them: `${name:key}`',
  options: Type.Object({
    path: Type.String({
      minLength: 1,
      description: 'The folder; a relative one starts from that of the configuration',
    }),
  }),
  create: ({ path }, { folder }) => {
    if (!isAbsolute(path) && folder === undefined)
      fail(`path: "${path}" is relative, and this document is not in a folder. Write an absolute path`);
    const root = resolve(folder ?? '/', path);
    return {
      async resolve(key) {
        if (!keyForm.test(key)) fail('a key is the name of a file: letters, digits, ".", "_" and "-"');
        const file = join(root, key);
        try {
          const info = await stat(file);
          if (!info.isFile()) return fail(`${file} is not a regular file`);
          if (info.size > maxBytes) return fail(`${file} has ${info.size} bytes; at most 1 MiB is read`);
          return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
        } catch (error) {
          if (errorCode(error) === 'ENOENT') return fail(`there is no file ${file}`);
          return fail(errorMessage(error));
        }
      },
    };
  },
});

function fail(message: string): never {
  throw new HectorError('secret_store', message);
}

export default definePlugin({ apiVersion: 1, name: 'hector/secrets-directory', provides: [directory] });
