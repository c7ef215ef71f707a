import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

/**
 * Makes of the Node that runs this, and of the built package, one file that needs no Node: see docs/adr/0018. It is for the
 * system and processor that it is made on.
 *
 *   node --import tsx deploy/binary/build.ts [FILE]      default: dist-binary/hector
 */
const root = join(import.meta.dirname, '../..');
const target = resolve(process.argv[2] ?? join(root, 'dist-binary/hector'));
/** By which Node knows that it is no longer alone: https://nodejs.org/api/single-executable-applications.html. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

interface Entry {
  readonly path: string;
  readonly bytes: number;
  readonly mode?: number;
}

const work = mkdtempSync(join(tmpdir(), 'hector-binary-'));
try {
  const tree = join(work, 'tree');
  collect(tree);
  pack(tree);
  const main = join(import.meta.dirname, 'main.cjs');
  const assets = Object.fromEntries(['hash', 'index', 'contents'].map((name) => [name, join(work, name)]));
  const settings = {
    main,
    output: join(work, 'blob'),
    disableExperimentalSEAWarning: true,
    useCodeCache: false,
    assets,
  };
  writeFileSync(join(work, 'sea.json'), JSON.stringify(settings));
  execFileSync(process.execPath, ['--experimental-sea-config', join(work, 'sea.json')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });

  mkdirSync(dirname(target), { recursive: true });
  // Whoever runs the one before goes on with it.
  copyFileSync(process.execPath, `${target}.new`);
  chmodSync(`${target}.new`, 0o755);
  if (process.platform === 'darwin') execFileSync('codesign', ['--remove-signature', `${target}.new`]);
  const postject = join(root, 'node_modules/postject/dist/cli.js');
  const macho = process.platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
  const injected = [`${target}.new`, 'NODE_SEA_BLOB', join(work, 'blob'), '--sentinel-fuse', fuse, ...macho];
  // What it warns of are sections of Node itself that have no name.
  execFileSync(process.execPath, [postject, ...injected], { stdio: 'pipe' });
  if (process.platform === 'darwin') execFileSync('codesign', ['--sign', '-', `${target}.new`]);
  renameSync(`${target}.new`, target);
  process.stdout.write(
    `${relative(process.cwd(), target)}: ${Math.round(statSync(target).size / 1e6)} MB, with Node ${process.version}\n`,
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** What an installation has, without what Node never loads. */
function collect(tree: string): void {
  mkdirSync(tree);
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) cpSync(join(root, name), join(tree, name));
  // Scripts of packages are not needed: what is native comes as a package of its own.
  execFileSync('npm', ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'], {
    cwd: tree,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  execFileSync(join(root, 'deploy/docker/slim.sh'), [tree], { stdio: 'inherit' });
  rmSync(join(tree, '.npmrc'));
  rmSync(join(tree, 'package-lock.json'));
  cpSync(join(root, 'dist'), join(tree, 'dist'), {
    recursive: true,
    filter: (path) => !/\.(map|d\.ts|tsbuildinfo)$/.test(path),
  });
  cpSync(join(root, 'LICENSE'), join(tree, 'LICENSE'));
  cpSync(join(import.meta.dirname, 'start.cjs'), join(tree, 'start.cjs'));
}

function pack(tree: string): void {
  const names = readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => statSync(join(tree, name)).isFile());
  const contents = files.map((name) => readFileSync(join(tree, name)));
  const index = files.map((path, i): Entry => {
    const executable = (statSync(join(tree, path)).mode & 0o100) !== 0;
    return { path, bytes: contents[i]?.length ?? 0, ...(executable && { mode: 0o755 }) };
  });
  const all = Buffer.concat(contents);
  const text = JSON.stringify(index);
  const hash = createHash('sha256').update(text).update(all).digest('hex').slice(0, 16);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 9,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: all.length,
  };
  const { version } = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8')) as { version: string };
  writeFileSync(join(work, 'hash'), `${version}-${hash}`);
  writeFileSync(join(work, 'index'), text);
  writeFileSync(join(work, 'contents'), brotliCompressSync(all, { params }));
}
