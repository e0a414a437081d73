#!/bin/bash
# Trains the stage `vae`, from the pieces of a checkpoint if there are any, and leaves pieces.
#
#   DATA=PHOTOS METRICS=DIR OUT=DIR [PIECES=DIR] [WORK=DIR] [PYTHON=python3] \
#       research/gpu/vae.sh --minutes 12 --pause 8 --device cuda ...
#
# All options are those of `python -m hdcodec.train vae`. WORK keeps the checkpoint between runs of
# one machine; PIECES is read where WORK has none. OUT gets the log, the pieces, a sheet of samples, and
# the figures of the pictures in VALIDATION, if that is given.
set -euo pipefail
: "${DATA:?folder of photos}" "${METRICS:?folder of metric weights}" "${OUT:?folder of results}"
WORK=${WORK:-/tmp/vae} PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
mkdir -p "$WORK" "$OUT"
if [ ! -f "$WORK/vae.pt" ] && [ -n "${PIECES:-}" ]; then
    "$PYTHON" research/gpu/pieces.py join "$PIECES" "$WORK/vae.pt"
fi
"$PYTHON" -m hdcodec.train vae --data "$DATA" --metric-weights "$METRICS" --out "$WORK" \
    --resume "$@" 2>&1 | tee -a "$OUT/vae.log"
"$PYTHON" research/gpu/pieces.py split "$WORK/vae.pt" "$OUT"
cp "$WORK/vae.png" "$OUT"
if [ -n "${VALIDATION:-}" ]; then
    "$PYTHON" benchmarks/reconstruction.py "$WORK/vae.pt" "$VALIDATION" \
        --metric-weights "$METRICS" | tee "$OUT/reconstruction.txt"
fi
