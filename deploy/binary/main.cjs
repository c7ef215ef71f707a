// What the single file runs: it is Node with this and an archive of the package inside (Node's single executable
// applications), and such a program can require nothing but what Node brings. So the archive is unpacked, once for each
// version, and Hector starts from there as it does anywhere else.
'use strict';

const { randomBytes } = require('node:crypto');
const {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, isAbsolute, join } = require('node:path');
const sea = require('node:sea');
const { brotliDecompressSync } = require('node:zlib');

/** `path` and `bytes` of each file, `mode` where it is a program; their contents follow each other in the same order. */
const index = () => JSON.parse(sea.getAsset('index', 'utf8'));

/** systemd names the first (CacheDirectory=). */
function cacheFolder({ CACHE_DIRECTORY, XDG_CACHE_HOME, HOME }) {
  if (CACHE_DIRECTORY) return CACHE_DIRECTORY.split(':')[0];
  const cache = XDG_CACHE_HOME || (HOME && join(HOME, '.cache'));
  if (cache && isAbsolute(cache)) return join(cache, 'hector');
  throw new Error('there is neither HOME nor XDG_CACHE_HOME');
}

/** Whoever can write there could run code as this user. */
function refuseOthers(folder) {
  const { uid, mode } = statSync(folder);
  const own = process.geteuid?.() ?? uid;
  if (uid !== own && uid !== 0) throw new Error(`${folder} belongs to another user`);
  if (process.platform !== 'win32' && (mode & 0o022) !== 0) throw new Error(`others can write to ${folder}`);
}

function unpack(folder) {
  const contents = brotliDecompressSync(Buffer.from(sea.getRawAsset('contents')));
  const made = new Set();
  let offset = 0;
  for (const { path, bytes, mode } of index()) {
    const file = join(folder, path);
    if (made.size !== made.add(dirname(file)).size) mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, contents.subarray(offset, offset + bytes));
    offset += bytes;
    if (mode) chmodSync(file, mode);
  }
}

/** Of a start that was killed meanwhile. */
function removeLeftOvers(cache) {
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name);
    if (/\.\d+-[0-9a-f]{8}$/.test(name) && Date.now() - statSync(folder).mtimeMs > 3_600_000)
      rmSync(folder, { recursive: true, force: true });
  }
}

/** The folder of this version. What has its name is complete: it was given the name when it was. */
function unpacked() {
  const cache = cacheFolder(process.env);
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  refuseOthers(cache);
  const folder = join(cache, sea.getAsset('hash', 'utf8'));
  if (existsSync(folder)) {
    refuseOthers(folder);
    return folder;
  }
  removeLeftOvers(cache);
  const own = `${folder}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    unpack(own);
    renameSync(own, folder);
  } catch (error) {
    rmSync(own, { recursive: true, force: true });
    // Another was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

function start() {
  let folder;
  try {
    folder = unpacked();
  } catch (error) {
    process.stderr.write(
      `error: hector unpacks itself, about 60 MB, before it first starts, and cannot: ${error.message}. Set XDG_CACHE_HOME to a folder that this user can write to and others cannot.\n`,
    );
    process.exit(1);
  }
  process.argv[1] = join(folder, 'dist/server/cli.js');
  createRequire(join(folder, 'start.cjs'))('./start.cjs');
}

start();
