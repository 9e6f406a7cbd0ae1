"""How cost grows with faces, size, length and streams: `make curves`.

Makes its clips from one that is given, measures each with `locutor bench` or, for streams, with
`locutor run`, and writes a table (CSV) and a chart (SVG) for each curve, and a page that shows
them. Every point is a process of its own. CPU seconds are of all threads, user and system.
"""

import argparse
import csv
import json
import os
import subprocess
import tempfile
from pathlib import Path

import clips
import live
import page

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "benches/curves"
CURVES = ("faces", "sizes", "lengths", "streams")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, default=ROOT / "demo/sample.mp4")
    parser.add_argument(
        "--face", default="iw/2:ih/2:0:ih/6", help="ffmpeg's crop for one face of the clip, 16:9"
    )
    parser.add_argument("--package", help="speaker package; the built-in one by default")
    parser.add_argument("--detector", help="detector package")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/locutor")
    parser.add_argument("--folder", type=Path, help="for the clips; below target/ by default")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--only", choices=CURVES, action="append", help="these curves; all by default"
    )
    parser.add_argument("--faces", type=int, nargs="*", default=[0, 1, 2, 4, 8, 16])
    parser.add_argument("--sizes", type=int, nargs="*", default=[360, 720, 1080, 2160])
    parser.add_argument("--lengths", type=int, nargs="*", default=[10, 60, 600, 3600])
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument(
        "--seconds", type=int, default=40, help="how long each number of streams is watched"
    )
    options = parser.parse_args()
    options.folder = options.folder or ROOT / "target/curves" / options.clip.stem
    return options


def models(options: argparse.Namespace) -> list[str]:
    """The packages that were asked for, as options of the program."""
    named = [(name, getattr(options, name)) for name in ("package", "detector")]
    return [word for name, given in named if given for word in (f"--{name}", given)]


def peak_mb(options: argparse.Namespace, clip: Path) -> int:
    """The most memory that annotating the clip takes, heatmaps and film included.

    A process of its own: in `locutor bench` there is also what the transcoding before it left.
    """
    with tempfile.TemporaryDirectory() as folder:
        film = str(Path(folder) / "film.mp4")
        command = [str(options.binary), "annotate", str(clip), "-o", film, *models(options)]
        null = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, stdout=null, stderr=null)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return round(used.ru_maxrss * 1024 / 1e6)


def bench(options: argparse.Namespace, clip: Path, repeat: int) -> dict[str, float]:
    """One point: the clip's figures by `locutor bench`."""
    command = [str(options.binary), "bench", str(clip), "--json", "--repeat", str(repeat)]
    command += models(options)
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    report = json.loads(answer.stdout)
    package = report["packages"][0]
    counts = package["counts"]
    figures = {
        "frames": counts["frames"],
        "face_frames": counts["face_frames"],
        "faces": counts["face_frames"] / max(counts["frames"], 1),
        "media_seconds": counts["media_seconds"],
        "cpu_seconds": package["cpu_seconds"],
        "transcode_cpu_seconds": report["transcode_cpu_seconds"],
        "bare_cpu_seconds": package["bare_cpu_seconds"],
        "bare_face_frame_ms": package["face_frame_ms"],
        "times_the_floor": package["overhead"],
        "times_real_time": package["times_real_time"],
        "peak_mb": peak_mb(options, clip),
    }
    return {name: round(value, 3) for name, value in figures.items()}


def of_clips(options: argparse.Namespace, curve: str) -> list[dict]:
    """The points of a curve over clips."""
    rows = []
    for value in getattr(options, curve):
        repeat = options.repeat
        if curve == "faces":
            clip = clips.faces(options.clip, options.folder, value, options.face, 20)
        elif curve == "sizes":
            clip = clips.size(options.clip, options.folder, value, 10)
        else:
            clip = clips.length(options.clip, options.folder, value)
            # What lasts minutes is its own mean.
            repeat = repeat if value <= 60 else 1
        name = {"faces": "tiles", "sizes": "height_px", "lengths": "seconds"}[curve]
        rows.append({name: value, **bench(options, clip, repeat)})
        print(curve, rows[-1], flush=True)
    return rows


def of_streams(options: argparse.Namespace) -> list[dict]:
    """The points of the curve over live streams, 1280 by 720 pixels each."""
    lasts = options.seconds + live.WARM_UP_SECONDS + 60
    short = clips.size(options.clip, options.folder, 720, 10)
    # Long enough that no stream comes to its end while it is watched.
    clip = clips.length(short, options.folder, lasts)
    named = "[models]\n"
    for key, given in (("speaker", options.package), ("detector", options.detector)):
        named += (
            f'{key} = "{Path(given).resolve() if Path(given).is_dir() else given}"\n'
            if given
            else ""
        )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in live.SINKS:
            for count in options.streams:
                row = live.measure(
                    options.binary, clip, Path(folder), kind, count, options.seconds, named
                )
                rows.append(row)
                print("streams", row, flush=True)
    return rows


def main() -> None:
    """Measures what was asked for and writes tables, charts and the page."""
    options = arguments()
    options.folder.mkdir(parents=True, exist_ok=True)
    for curve in options.only or CURVES:
        rows = of_streams(options) if curve == "streams" else of_clips(options, curve)
        with (TABLES / f"{curve}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        page.note_machine(TABLES / "machine.json", curve, options)
    page.write(TABLES, ROOT / "docs/performance")


if __name__ == "__main__":
    main()
