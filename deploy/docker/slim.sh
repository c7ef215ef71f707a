#!/bin/sh
# Removes from an installed node_modules what Node never loads: types, source maps, pages, the builds that are for
# bundlers, tests, and the native builds that are for another libc. Licences stay.
#
#   slim.sh FOLDER      the folder that holds node_modules
set -eu

folder=${1:?usage: slim.sh FOLDER (the one that holds node_modules)}
cd "$folder"
[ -d node_modules ] || { echo "slim.sh: $folder has no node_modules" >&2; exit 1; }

find node_modules -type f \( \
  -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.tsbuildinfo' -o \
  \( \( -iname '*.md' -o -iname '*.markdown' \) ! -iname '*licen[sc]e*' ! -iname '*notice*' ! -iname '*copying*' \) \
  \) -exec rm -f {} +

# Each package of OpenTelemetry comes three times; `main` and the `default` of `exports` are build/src.
find node_modules -type d \( -path '*/@opentelemetry/*/build/esm' -o -path '*/@opentelemetry/*/build/esnext' \) \
  -prune -exec rm -rf {} +

# At the top of a package only: a package of this name, or a folder deeper in its code, is another thing.
find node_modules -type d -name node_modules | while IFS= read -r packages; do
  for package in "$packages"/[!@.]* "$packages"/@*/*; do
    for name in test tests __tests__ benchmark benchmarks bench example examples doc docs .github; do
      rm -rf "${package:?}/$name"
    done
  done
done

# npm installs both builds where it cannot tell the libc.
if ldd --version 2>&1 | grep -qi musl; then other=gnu; else other=musl; fi
for build in node_modules/@libsql/*-"$other"; do
  [ -d "$build" ] || continue
  set -- node_modules/@libsql/*
  [ $# -gt 1 ] || { echo "slim.sh: $build is the only build of libsql, and not for this libc" >&2; exit 1; }
  rm -rf "$build"
done

find node_modules -depth -type d -empty -delete
