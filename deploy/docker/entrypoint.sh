#!/bin/sh
# `hector serve …` and `serve …` are the same; nothing at all serves what is there to be served.
set -eu

case ${1-} in
  '')
    if [ -e config.yaml ]; then set -- serve --config config.yaml; else set -- serve; fi
    ;;
  hector) shift ;;
  # A look inside: docker run -it … sh
  sh | node | /*) exec "$@" ;;
esac
exec hector "$@"
