"""Live streams of one process: what it costs while they run, and how late they are.

Sources are files, played in real time over and over; `encoded` streams go out by RTSP (encoded
whether anyone reads or not), `analysed` ones have no sink, so that nothing is drawn or encoded.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

SINKS = {"encoded": '[[sink]]\ntype = "rtsp-server"\n', "analysed": ""}
# The last stage of each kind, whose frames are counted and timed.
LAST = {"encoded": "encode", "analysed": "score"}
# Before anything is counted: a load level comes down after 15 good seconds.
WARM_UP_SECONDS = 20
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _files(clip: Path, folder: Path, kind: str, count: int, models: str) -> tuple[list[Path], int]:
    rtsp, health = _free_port(), _free_port()
    text = (
        f'[source]\nuri = "{clip.resolve().as_uri()}"\nloop = true\n{models}{SINKS[kind]}'
        f'[serve]\nrtsp = "127.0.0.1:{rtsp}"\nhealth = "127.0.0.1:{health}"\n'
    )
    files = [folder / f"stream-{i + 1}.toml" for i in range(count)]
    for file in files:
        file.write_text(text)
    return files, health


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024 / 1e6


def _samples(health: int) -> dict[tuple[str, str], list[float]]:
    """What the health page says, by name and stage."""
    with urllib.request.urlopen(f"http://127.0.0.1:{health}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found: dict[tuple[str, str], list[float]] = {}
    for line in text.splitlines():
        if match := re.match(r"locutor_(\w+)\{(.*)\} (\S+)$", line):
            stage = re.search(r'stage="([^"]*)"', match.group(2))
            found.setdefault((match.group(1), stage.group(1) if stage else ""), []).append(
                float(match.group(3))
            )
    return found


def _watch(pid: int, health: int, seconds: int, stage: str, count: int) -> dict[str, float]:
    """Figures over so many seconds; all but frames a second are of all streams together."""
    before, cpu, begun = _samples(health), _cpu_seconds(pid), time.monotonic()
    level = 0.0
    while time.monotonic() - begun < seconds:
        time.sleep(1)
        level = max(level, *_samples(health).get(("load_level", ""), [0.0]))
    after, lasted = _samples(health), time.monotonic() - begun

    def rate(name: str, stage: str | None = None) -> float:
        def total(at: dict[tuple[str, str], list[float]]) -> float:
            return sum(sum(v) for k, v in at.items() if k[0] == name and stage in (None, k[1]))

        return (total(after) - total(before)) / lasted

    return {
        "cpu_cores": round((_cpu_seconds(pid) - cpu) / lasted, 3),
        "load_level": int(level),
        "frames_per_second": round(rate("latency_seconds_count", stage) / count, 2),
        "drops_per_second": round(rate("drops_total"), 2),
        "resident_mb": round(_resident_mb(pid)),
    }


def measure(
    binary: Path, clip: Path, folder: Path, kind: str, count: int, seconds: int, models: str
) -> dict:
    """One row: `count` streams of one process."""
    files, health = _files(clip, folder, kind, count, models)
    stage = LAST[kind]
    command = [str(binary), "run", *map(str, files), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            time.sleep(WARM_UP_SECONDS)
            watched = _watch(process.pid, health, seconds, stage, count)
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
    # The worst stream's, over the whole run: half and nearly all of its frames are no later.
    late = [of[stage] for of in json.loads(said)["latency"].values() if stage in of]
    worst = {
        f"{p}_ms": round(1_000 * max((of[p] for of in late), default=0)) for p in ("p50", "p95")
    }
    return {"streams": count, "kind": kind, **watched, **worst}
