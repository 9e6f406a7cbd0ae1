#!/usr/bin/env bash
# Everything that must hold before a change is taken, cheapest first: format, lints for every
# feature set, docs, licences, then the tests. `check.sh lint` stops before the tests.
# Needs Debian 12 and Rust; installs the rest. One build folder and one profile throughout, so that
# lints and docs share their dependencies, and all tests theirs.
set -euo pipefail
cd "$(dirname "$0")/.."

begun=$SECONDS
step() { printf '\n=== %s (%d s so far)\n' "$*" $((SECONDS - begun)); }
shout() { printf '\n!!! %s\n' "$@" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# have_tool NAME VERSION: installs a cargo command from its sources where it is missing.
# Built for a short build, not for speed: they run for seconds.
have_tool() {
  cargo "${1#cargo-}" --version >/dev/null 2>&1 && return
  step "installing $1 $2"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo install --quiet --locked "$1@$2"
}

step 'set-up'
tools/setup.sh
for part in fmt clippy; do
  cargo $part --version >/dev/null 2>&1 && continue
  shout "cargo $part is missing: rustup component add rustfmt clippy"
  exit 69
done

step 'format'
cargo fmt --check

step 'lints: no features, default, all'
cargo clippy --locked --all-targets --no-default-features -- -D warnings
cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --all-targets --all-features -- -D warnings

step 'docs'
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features --document-private-items

have_tool cargo-deny 0.20.2
step 'licences, bans, sources'
cargo deny check licenses bans sources
step 'advisories'
if timeout 120 cargo deny fetch db; then
  cargo deny check advisories
else
  shout 'NOT CHECKED: the advisory database (github.com/RustSec/advisory-db) cannot be reached.' \
    'Run `cargo deny check advisories` where it can.'
fi

[ "${1-}" = lint ] && exit

have_tool cargo-nextest 0.9.151
step 'sample clips'
make --no-print-directory samples

# What is written and served is looked at with ffprobe and ffmpeg.
command -v ffmpeg >/dev/null || {
  as_root apt-get update -qq
  as_root apt-get install -y -qq --no-install-recommends ffmpeg
}
# Some tests compare with references that are not part of this repository.
if [ ! -d ../shared ]; then
  shout 'SKIPPED: ../shared is missing, so that every test against released networks, golden' \
    'values and real clips passes without testing. All others run.'
fi

step 'tests in the docs'
cargo test --locked --doc --quiet
step 'tests'
cargo nextest run --locked --all-features
