#!/usr/bin/env bash
# The main job on the sample: finds or imports the models, annotates demo/sample.mp4, and says what
# to open. Expects what `make demo` prepares: the program built and the sample made.
set -euo pipefail
cd "$(dirname "$0")/.."

locutor=${CARGO_TARGET_DIR:-target}/release/locutor
here=.models
# Where upstream files are looked for: fetched by the user, or the developers' folder of references.
fetched=$here/upstream
reference=../shared/models
export LOCUTOR_MODELS="$PWD/$here${LOCUTOR_MODELS:+:$LOCUTOR_MODELS}"

# Whether a package of this name is on the program's shelf already.
installed() {
  local folders folder
  IFS=: read -ra folders <<<"$LOCUTOR_MODELS"
  folders+=(models "${XDG_DATA_HOME:-$HOME/.local/share}/locutor/models")
  folders+=(/usr/local/share/locutor/models /usr/share/locutor/models)
  for folder in "${folders[@]}"; do
    [ -f "$folder/$1/model.toml" ] && return 0
  done
  return 1
}

# ensure KIND SHA256 FILE...: imports the first of the files that is there. Nothing else than the
# very file that the demo was tried with is taken.
ensure() {
  local kind=$1 sha256=$2 file
  shift 2
  installed "$kind" && return 0
  for file in "$@"; do
    [ -f "$file" ] || continue
    echo "$sha256  $file" | sha256sum --check --quiet || return 1
    "$locutor" models import "$kind" "$file" --into "$here/$kind"
    return
  done
  return 1
}

ready=true
ensure light-asd d44bc3ea7baa8e0946fa3921311714a630ed8b90a1928fab0dbe30d918909317 \
  "$fetched/pretrain_AVA_CVPR.model" "$reference/asd/lightasd_pretrain_AVA_CVPR.model" || ready=false
ensure yunet 104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12 \
  "$fetched/yunet_n_dynamic.onnx" "$reference/face/yunet_n_dynamic.onnx" || ready=false

if [ "$ready" = false ]; then
  cat >&2 <<END

The demo needs two models that are not ours to ship. Fetch these files, put them into
$fetched/ (make it) under these very names, and run make demo again:

  pretrain_AVA_CVPR.model   who speaks (Light-ASD, MIT)
      weight/pretrain_AVA_CVPR.model of github.com/Junhua-Liao/Light-ASD, commit ed38c232
      sha256 d44bc3ea7baa8e0946fa3921311714a630ed8b90a1928fab0dbe30d918909317
  yunet_n_dynamic.onnx      where faces are (YuNet, Apache-2.0)
      onnx/yunet_n_dynamic.onnx of github.com/ShiqiYu/libfacedetection.train, commit 0047ac24
      sha256 104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12

END
  exit 69
fi

command=("$locutor" annotate demo/sample.mp4 -o demo/sample.annotated.mp4
  --events demo/sample.jsonl --rttm demo/sample.rttm --ava-csv demo/sample.csv
  --vtt demo/sample.vtt --overwrite)
echo "${command[*]}"
"${command[@]}"

cat <<'END'

Open demo/sample.annotated.mp4 in any player. Beside it lie
  demo/sample.jsonl   faces, scores and turns of every frame (docs/records.md)
  demo/sample.rttm    who spoke when, for diarisation tools
  demo/sample.csv     boxes and scores in AVA-ActiveSpeaker form
  demo/sample.vtt     who spoke when, as captions
  demo/sample.labels.csv   the truth, as the sample's maker knows it
END
