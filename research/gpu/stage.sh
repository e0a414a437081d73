#!/bin/bash
# Trains a stage, from the pieces of checkpoints if there are any, and leaves pieces.
#
#   DATA=PHOTOS METRICS=DIR OUT=DIR [PIECES=DIR] [WORK=DIR] [AVERAGE=1] [PYTHON=python3] \
#       research/gpu/stage.sh vae --minutes 12 --pause 8 --device cuda ...
#
# All options after the stage's name are those of `python -m hdcodec.train STAGE`. WORK keeps the
# checkpoints between runs of one machine; those that it lacks are read from PIECES. With AVERAGE the
# pieces hold the averaged model alone, a fifth of the bytes. OUT gets the log, the pieces and a
# sheet of samples, and, after the stages `vae`, `whole` and `draw`, the figures of the pictures in
# VALIDATION, if that is given.
set -euo pipefail
: "${DATA:?folder of photos}" "${METRICS:?folder of metric weights}" "${OUT:?folder of results}"
stage=${1:?name of a stage}
shift
WORK=${WORK:-/tmp/$stage} PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
mkdir -p "$WORK" "$OUT"
for first in ${PIECES:+"$PIECES"/*.pt.00}; do
    name=$(basename "$first" .00)
    if [ -f "$first" ] && [ ! -f "$WORK/$name" ]; then
        "$PYTHON" research/gpu/pieces.py join "$PIECES" "$WORK/$name"
    fi
done
"$PYTHON" -m hdcodec.train "$stage" --data "$DATA" --metric-weights "$METRICS" --out "$WORK" \
    --resume "$@" 2>&1 | tee -a "$OUT/$stage.log"
"$PYTHON" research/gpu/pieces.py split ${AVERAGE:+--average} "$WORK/$stage.pt" "$OUT"
cp "$WORK/$stage.png" "$OUT"
case $stage in
    vae) benchmark=reconstruction ;;
    whole | draw) benchmark=drawing ;;
    *) exit ;;
esac
if [ -n "${VALIDATION:-}" ]; then
    "$PYTHON" "benchmarks/$benchmark.py" "$WORK/$stage.pt" "$VALIDATION" \
        --metric-weights "$METRICS" | tee "$OUT/$benchmark.txt"
fi
