#!/usr/bin/env bash
# Tries the Debian package of tools/deb.sh under systemd, as an operator does: a small Debian is made
# (debootstrap), booted (systemd-nspawn), the package installed; a stream is started, killed, reloaded,
# hung and stopped, a wrong file refused, and everything purged. Needs root, a network and five minutes.
# Says SKIPPED, and why, where the machine cannot do it. The folder is given, or a new one, and is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "SKIPPED: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in debootstrap systemd-nspawn nsenter; do
  command -v "$tool" >/dev/null || skip "needs $tool (packages debootstrap, systemd-container)"
done
deb=$(ls target/debian/locutor_*.deb 2>/dev/null | tail -1) || true
[ -n "$deb" ] || skip "needs target/debian/locutor_*.deb; run tools/deb.sh"
[ -f demo/sample.mp4 ] || skip "needs demo/sample.mp4; run make samples"

root=${1:-$(mktemp -d)}
# A new folder is its owner's alone, and this one becomes everybody's /: dbus would never start.
chmod 755 "$root"
mirror=${DEBIAN_MIRROR:-}
[ -d "$root/etc" ] ||
  debootstrap --variant=minbase --include=systemd-sysv,dbus,curl,adduser bookworm "$root" $mirror
cp "$deb" "$root/srv/locutor.deb"
cp demo/sample.mp4 "$root/srv/"
cat > "$root/srv/try.sh" <<'TRY'
set -eu
export DEBIAN_FRONTEND=noninteractive
unit=locutor@hall
shown() { systemctl show "$unit" -p "$1" --value; }
code() { curl -s -o /dev/null -m 3 -w '%{http_code}' http://127.0.0.1:19998/readyz || true; }
wait_for() { # seconds what command…
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@"; do [ $SECONDS -lt $end ] || { echo "FAILED: $what"; exit 1; }; sleep 0.2; done
  echo "ok: $what"
}
ready() { [ "$(code)" = 200 ]; }
other_process() { [ "$(shown MainPID)" != "$before" ] && ready; }
apt-get update -qq
apt-get install -y -qq --no-install-recommends /srv/locutor.deb gstreamer1.0-plugins-ugly \
  gstreamer1.0-libav gstreamer1.0-rtsp >/dev/null
cat > /etc/locutor/hall.toml <<'TOML'
[source]
uri = "file:///srv/sample.mp4"
loop = true
[[sink]]
type = "record"
directory = "/var/lib/locutor/hall"
segment_seconds = 5
[serve]
health = "127.0.0.1:19998"
TOML
systemctl start "$unit"
wait_for 60 "started, /readyz says 200" ready
status_is_live() { [ "$(shown StatusText)" = "1 of 1 streams live" ]; }
wait_for 10 "systemctl status says so" status_is_live
before=$(shown MainPID); systemctl kill -s KILL "$unit"
wait_for 60 "killed, and back" other_process
before=$(shown MainPID); sed -i 's/^loop = true/&\nstall_timeout_seconds = 7/' /etc/locutor/hall.toml
systemctl reload "$unit"; sleep 2
wait_for 60 "reloaded" ready
[ "$(shown MainPID)" = "$before" ]
kill -STOP "$before"
wait_for 90 "hung, found by the watchdog, and back" other_process
systemctl stop "$unit"
[ -z "$(find /var/lib/locutor -name '*.part')" ] && echo "ok: stopped, every recording is whole"
echo 'nonsense = 1' >> /etc/locutor/hall.toml
! systemctl start "$unit" 2>/dev/null
failed() { [ "$(shown SubState)" = failed ]; }
wait_for 10 "a wrong file is refused for good" failed
apt-get purge -y -qq locutor >/dev/null
for left in /etc/locutor /var/lib/locutor /var/cache/locutor /run/locutor /usr/bin/locutor; do
  [ ! -e "$left" ] || { echo "FAILED: $left is left"; exit 1; }
done
echo "ok: purged"
TRY
systemd-nspawn -D "$root" -b --register=no --keep-unit </dev/null >"$root.boot.log" 2>&1 &
nspawn=$!
init=
inside() { nsenter -t "$init" -m -u -i -p -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
end() { [ -z "$init" ] || inside systemctl poweroff || true; wait "$nspawn" || true; }
trap end EXIT
for _ in $(seq 60); do
  init=$(pgrep -P "$nspawn" -x systemd || true)
  [ -n "$init" ] && inside systemctl is-system-running --wait >/dev/null 2>&1 && break
  kill -0 "$nspawn" 2>/dev/null || skip "systemd-nspawn cannot boot here: $(tail -1 "$root.boot.log")"
  sleep 1
done
inside bash /srv/try.sh
echo "all of it works; the machine is kept in $root"
