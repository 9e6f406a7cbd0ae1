"""Writes the tables of docs/performance.md anew: `make performance`.

Runs `locutor bench` over the clips, the part benches, and, where a speaker and a detector package
that it can run are given, the offline peer; puts each table between its two marks. What stands
outside the marks is written by hand and stays, and so does a block that was not measured.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cameras
import divan
import further

ROOT = Path(__file__).resolve().parents[2]

# Words, field, digits. A field that a program does not tell makes no row.
PACKAGE_ROWS = [
    ("`{}`: whole path, CPU s", "cpu_seconds", 2),
    ("bare graphs, CPU s", "bare_cpu_seconds", 2),
    ("× the floor", "overhead", 2),
    ("× the time that all cores need together", "wall_over_cores", 2),
    ("heatmaps on over off", "heat_over_none", 2),
    ("× real time", "times_real_time", 1),
]
BARE_ROWS = [
    ("face encoder, a frame (as many a call as in files)", "face_ms"),
    ("head, a call of 5 ticks (live window)", "head_ms"),
    ("audio encoder, a tick", "audio_ms"),
    ("detection at a long side of 320", "detection_ms"),
]


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument("--package", action="append", default=[], help="default: the built-in one")
    parser.add_argument("--detector", help="the built-in one by default")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/locutor")
    parser.add_argument("--peer-speaker", type=Path, help="a Light-ASD package's directory")
    parser.add_argument("--peer-detector", type=Path, help="a YuNet package's directory")
    parser.add_argument("--peer-python", default=sys.executable, help="has benches/peer's packages")
    parser.add_argument("--no-parts", action="store_true", help="leave the part benches out")
    parser.add_argument("--no-live", action="store_true", help="leave live streams out")
    parser.add_argument("--no-further", action="store_true", help="leave a further face out")
    parser.add_argument("--pairs", type=int, default=9, help="of runs for a further face")
    parser.add_argument("--doc", type=Path, default=ROOT / "docs/performance.md")
    options = parser.parse_args()
    options.clip = options.clip or [ROOT / "demo/sample.mp4"]
    return options


def output(*command: object) -> str:
    """What a command writes."""
    words = [str(word) for word in command]
    print("$", " ".join(words), file=sys.stderr, flush=True)
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, cwd=ROOT, text=True).stdout


def row(*cells: object) -> str:
    """A line of a table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |\n"


def signed(more: str) -> str:
    """When, where and on what."""
    name = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    machine = f"{os.cpu_count()} × {name.group(1).strip() if name else 'unknown processor'}"
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{day}, {machine}{more}.\n\n"


def bench(options: argparse.Namespace, clip: Path) -> dict:
    """A clip's figures."""
    command = [options.binary, "bench", clip, "--json", "--repeat", options.repeat]
    for name in options.package:
        command += ["--package", name]
    if options.detector:
        command += ["--detector", options.detector]
    return json.loads(output(*command))


def whole_path(reports: list[dict]) -> str:
    """Each package over each clip, beside the floor."""
    first = reports[0]
    text = signed(f"; detector `{first['detector']}`; median of {first['repeats']}")
    counts = [report["packages"][0]["counts"] for report in reports]
    heads = [
        f"{Path(r['clip']).stem}, {c['frames']} frames, {c['face_frames']} face-frames"
        for r, c in zip(reports, counts)
    ]
    text += row("", *heads) + row("---", *["---"] * len(heads))
    alone = [f"{report['transcode_cpu_seconds']:.2f}" for report in reports]
    text += row("decode, encode, mux alone, CPU s", *alone)
    for n, package in enumerate(first["packages"]):
        for words, key, digits in PACKAGE_ROWS:
            if key in package:
                figures = [f"{r['packages'][n][key]:.{digits}f}" for r in reports]
                text += row(words.format(package["package"]), *figures)
    return text


def bare_graphs(report: dict) -> str:
    """The graphs alone, as the first clip's last repeat found them."""
    packages = report["packages"]
    text = signed("; one thread, on ready tensors")
    text += row("ms of one thread", *[f"`{p['package']}`" for p in packages])
    text += row("---", *["---"] * len(packages))
    for words, key in BARE_ROWS:
        text += row(words, *[f"{p['bare'][key]:.3f}" for p in packages])
    whole = [f"{p['face_frame_ms']:.3f}" for p in packages]
    return text + row("a face-frame, face and head", *whole)


def parts() -> str:
    """The part benches' medians."""
    text = signed("; medians, one call each")
    text += row("part", "case", "median") + row("---", "---", "---")
    for part in divan.read(output("cargo", "bench", "--locked", "--bench", "parts")):
        text += row(divan.WHAT.get(part.name, f"`{part.name}`"), part.case, part.median)
    return text


def peer(options: argparse.Namespace, report: dict) -> str:
    """The offline pipeline over the first clip, beside the program."""
    command = [options.peer_python, ROOT / "benches/peer/offline.py", options.clip[0], "--json"]
    command += ["--speaker", options.peer_speaker, "--detector", options.peer_detector]
    theirs = json.loads(output(*command).strip().splitlines()[-1])
    text = signed(f"; {options.clip[0].stem}, where the peer saw {theirs['face_frames']} faces")
    text += row("", "CPU s", "s on the clock", "the peer's CPU s over its own") + row(*["---"] * 4)
    cpu = theirs["cpu_seconds"]
    text += row("the peer", f"{cpu:.2f}", f"{theirs['wall_seconds']:.2f}", "1.0")
    for own in report["packages"]:
        figures = [f"{own[key]:.2f}" for key in ("cpu_seconds", "wall_seconds")]
        text += row(f"`{own['package']}`", *figures, f"{cpu / own['cpu_seconds']:.1f}")
    return text


CAMERA_COLUMNS = [
    ("package", "package"),
    ("height", "height_px"),
    ("cores", "cpu_cores"),
    ("frames a second", "frames_per_second"),
    ("load level", "load_level"),
    ("late by, half of the frames, ms", "p50_ms"),
    ("95 % of them", "p95_ms"),
    ("resident MB", "resident_mb"),
]


def live_streams(options: argparse.Namespace) -> str:
    """One live stream by package and size."""
    rows = cameras.measure(options)
    text = signed(f"; {options.clip[0].stem}, 25 frames a second, {cameras.SECONDS} s each")
    text += row(*[words for words, _ in CAMERA_COLUMNS]) + row(*["---"] * len(CAMERA_COLUMNS))
    for one in rows:
        name = f"`{Path(one['package']).name}`"
        text += row(*[name if key == "package" else one[key] for _, key in CAMERA_COLUMNS])
    return text


FURTHER_STAGES = [
    ("inference", "inference (detector, encoders, head)"),
    ("crops, score and heatmaps", "features, score and explain (without inference)"),
    ("drawing", "overlay and records"),
]


def further_face(options: argparse.Namespace) -> str:
    """What a further face costs, by package."""
    rows = further.measure(options, bench)
    text = signed(
        f"; {further.FACES[1]} faces against {further.FACES[0]}, 1280×720, medians of {options.pairs} pairs"
    )
    text += row("ms of CPU a face-frame", *[f"`{one['package']}`" for one in rows])
    text += row("---", *["---"] * len(rows))
    text += row("bare: face encoder and head", *[f"{one['bare_ms']:.2f}" for one in rows])
    text += row("the whole path, transcodes left out", *[f"{one['cost_ms']:.2f}" for one in rows])
    for words, stage in FURTHER_STAGES:
        text += row(f"of that {words}", *[f"{one['stages_ms'][stage]:.2f}" for one in rows])
    text += row("× bare", *[f"{one['times_bare']:.2f}" for one in rows])
    middle = ["{:.2f} to {:.2f}".format(*one["quartiles"]) for one in rows]
    return text + row("the middle half of the pairs", *middle)


def put(doc: str, block: str, text: str) -> str:
    """The document with `text` between the block's marks."""
    begin = f"<!-- `make performance` writes from here: {block}. -->"
    end = f"<!-- The end of {block}. -->"
    if doc.count(begin) != 1 or doc.count(end) != 1:
        raise SystemExit(f"the document has not one pair of the marks {begin} and {end}")
    before, rest = doc.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}{end}{after}"


def main() -> None:
    """Measures and writes, a block at a time: what fails later costs nothing that was measured."""
    options = arguments()
    reports = [bench(options, clip) for clip in options.clip]
    blocks = {
        "whole path": lambda: whole_path(reports),
        "bare graphs": lambda: bare_graphs(reports[0]),
    }
    if not options.no_live:
        blocks["live"] = lambda: live_streams(options)
    if not options.no_further:
        blocks["further face"] = lambda: further_face(options)
    if not options.no_parts:
        blocks["parts"] = parts
    if options.peer_speaker and options.peer_detector:
        blocks["peer"] = lambda: peer(options, reports[0])
    for block, text in blocks.items():
        measured = text()
        # Read last: measuring takes minutes in which someone may have written.
        options.doc.write_text(put(options.doc.read_text(), block, measured))
        print(f"{options.doc.name}: {block}", flush=True)


if __name__ == "__main__":
    main()
