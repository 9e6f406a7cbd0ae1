#!/usr/bin/env bash
# The main job on the sample, with the models that the program carries: annotates demo/sample.mp4,
# and says what to open. Expects what `make demo` prepares: the program built and the sample made.
set -euo pipefail
cd "$(dirname "$0")/.."

locutor=${CARGO_TARGET_DIR:-target}/release/locutor
command=("$locutor" annotate demo/sample.mp4 -o demo/sample.annotated.mp4
  --events demo/sample.jsonl --rttm demo/sample.rttm --ava-csv demo/sample.csv
  --vtt demo/sample.vtt --overwrite)
echo "${command[*]}"
"${command[@]}"
echo
"$locutor" eval --labels demo/sample.labels.csv --predictions demo/sample.csv

cat <<'END'

Open demo/sample.annotated.mp4 in any player. Beside it lie
  demo/sample.jsonl   faces, scores and turns of every frame (docs/records.md)
  demo/sample.rttm    who spoke when, for diarisation tools
  demo/sample.csv     boxes and scores in AVA-ActiveSpeaker form
  demo/sample.vtt     who spoke when, as captions
  demo/sample.labels.csv   the truth, as the sample's maker knows it; the table above holds
                      the run against it
END
