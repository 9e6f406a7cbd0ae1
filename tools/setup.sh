#!/usr/bin/env bash
# Brings a Debian 12 machine with Rust to the point where locutor builds and runs: system packages
# (with sudo where needed), and ONNX Runtime from its PyPI wheel, unpacked under .ort/.
# Safe to run again: what is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

# Any version from 1.17 on works; this one is what the figures in docs/ were measured with.
ort_version=1.32.0

packages=(
  build-essential pkg-config curl unzip python3 python3-pip python3-venv espeak-ng
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-base-apps
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  gstreamer1.0-rtsp
)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! compgen -G ".ort/onnxruntime/capi/libonnxruntime.so*" >/dev/null; then
  echo "fetching ONNX Runtime $ort_version"
  mkdir -p .ort
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' EXIT
  python3 -m pip download --quiet --no-deps --only-binary=:all: -d "$wheels" "onnxruntime==$ort_version"
  unzip -q -o "$wheels"/onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime*' 'onnxruntime/LICENSE' \
    'onnxruntime/ThirdPartyNotices.txt' -d .ort
fi

command -v cargo >/dev/null || {
  echo "Rust is missing: install it with rustup (1.92 or newer), then run this again" >&2
  exit 69
}
