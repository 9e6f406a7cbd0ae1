#!/usr/bin/env bash
# Builds the Debian package into target/debian/. Needs what tools/setup.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
cargo deb --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deb --version '^3'
cargo build --release --locked
rm -rf target/generated
target/release/locutor generate man --into target/generated/man
target/release/locutor generate completions --into target/generated/completions
cargo deb --no-build --locked --strip
ls -l target/debian/*.deb
