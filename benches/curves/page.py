"""The page that shows the curves, from their tables."""

import csv
import datetime
import json
import os
import re
from pathlib import Path

import plot

Row = dict[str, str]

_SAID = {
    "faces": "A wall of 16 tiles, 1280×720, 20 s, of which the stated number shows a face; "
    "the others hold the same pixels with their blocks shuffled, so that decoding and encoding cost "
    "about the same.",
    "sizes": "The clip scaled, 10 s each.",
    "lengths": "The clip repeated, without encoding again.",
    "streams": "Live streams of one process, 1280×720 at 25 frames a second from files in real "
    "time. `encoded`: everything drawn and encoded for the RTSP server; `analysed`: no sink, so "
    "nothing is drawn or encoded, and a frame is done when it is scored. Latency is the worst "
    "stream's, over its whole run, start included.",
}
_COLUMNS = {
    "faces": [
        "tiles",
        "face_frames",
        "cpu_seconds",
        "transcode_cpu_seconds",
        "bare_cpu_seconds",
        "times_real_time",
        "peak_mb",
    ],
    "sizes": [
        "height_px",
        "faces",
        "cpu_seconds",
        "transcode_cpu_seconds",
        "bare_cpu_seconds",
        "times_the_floor",
        "times_real_time",
        "peak_mb",
    ],
    "lengths": [
        "seconds",
        "face_frames",
        "cpu_seconds",
        "transcode_cpu_seconds",
        "times_the_floor",
        "times_real_time",
        "peak_mb",
    ],
    "streams": [
        "streams",
        "kind",
        "cpu_cores",
        "load_level",
        "frames_per_second",
        "drops_per_second",
        "p50_ms",
        "p95_ms",
        "resident_mb",
    ],
}


def processor() -> str:
    """The machine in words."""
    info = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*:\s*(.+)", info)
    return f"{os.cpu_count()} × {name.group(1).strip() if name else 'unknown processor'}"


def note_machine(file: Path, curve: str, options) -> None:
    """Keeps where and on what a curve was measured."""
    notes = json.loads(file.read_text()) if file.exists() else {}
    notes[curve] = {
        "when": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": processor(),
        "clip": options.clip.name,
        "package": Path(options.package or "locutor").name,
        "detector": Path(options.detector or "locutor-faces").name,
    }
    file.write_text(json.dumps(notes, indent=2) + "\n")


def _number(row: Row, name: str) -> float:
    return float(row[name])


def _slope(points: list[tuple[float, float]]) -> float:
    """Of the straight line with the least squares."""
    mean = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    both = sum((x - mean[0]) * (y - mean[1]) for x, y in points)
    return both / sum((x - mean[0]) ** 2 for x, _ in points)


def further_face(rows: list[Row]) -> str:
    """What one more face costs beside its bare inference."""
    if len(rows) < 2:
        return ""
    own = [
        (_number(r, "face_frames"), _number(r, "cpu_seconds") - _number(r, "transcode_cpu_seconds"))
        for r in rows
    ]
    bare = sorted(_number(r, "bare_face_frame_ms") for r in rows)[len(rows) // 2]
    whole = 1e3 * _slope(own)
    pairs = zip(own, own[1:], strict=False)
    steps = [f"{1e3 * (b[1] - a[1]) / (b[0] - a[0]):.2f}" for a, b in pairs if b[0] > a[0]]
    return (
        f"**A further face costs {whole:.2f} ms of CPU a frame, {whole / bare:.1f} times its "
        f"bare inference** ({bare:.3f} ms: face encoder once, head once for 5 ticks). The slope is "
        "a least-squares fit of CPU seconds, minus those of decode, encode and mux alone, "
        "over face-frames; from point to point it is "
        f"{', '.join(steps)} ms.\n"
    )


def _chart(curve: str, rows: list[Row]) -> plot.Chart:
    def line(x: str, y: str, of: list[Row] = rows, per: str = "") -> list[tuple[float, float]]:
        return [(_number(r, x), _number(r, y) / (_number(r, per) if per else 1)) for r in of]

    parts = {"the whole path": "cpu_seconds", "decode, encode, mux alone": "transcode_cpu_seconds"}
    up = "CPU seconds a second of media"
    if curve == "streams":
        kinds = {kind: [r for r in rows if r["kind"] == kind] for kind in ("encoded", "analysed")}
        lines = {kind: line("streams", "cpu_cores", of) for kind, of in kinds.items() if of}
        return plot.Chart("Streams of one process", "streams", "CPU seconds a second", lines)
    if curve == "faces":
        lines = {name: line("faces", y, per="media_seconds") for name, y in parts.items()}
        lines["bare inference"] = line("faces", "bare_cpu_seconds", per="media_seconds")
        return plot.Chart("Faces at 1280×720", "faces in the frame", up, lines)
    if curve == "sizes":
        heights = ", ".join(row["height_px"] for row in rows) + " high"
        rows = [row | {"megapixels": _number(row, "height_px") ** 2 * 16 / 9 / 1e6} for row in rows]
        lines = {n: line("megapixels", y, rows, "media_seconds") for n, y in parts.items()}
        return plot.Chart("Size of the frame", "million pixels: " + heights, up, lines)
    return plot.Chart(
        "Memory and length",
        "seconds of recording",
        "MB at most resident",
        {"peak": line("seconds", "peak_mb")},
        True,
    )


def _table(curve: str, rows: list[Row]) -> str:
    names = _COLUMNS[curve]
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(tables: Path, folder: Path) -> None:
    """Writes the page and its charts from the tables that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = json.loads((tables / "machine.json").read_text())
    text = (
        "# How cost grows\n\nWritten by `make curves`; "
        "[benches/curves](../../benches/curves/README.md) describes how, and has the full tables. "
        "Ratios and slopes are comparable between machines; seconds are not.\n"
    )
    for curve in _SAID:
        file = tables / f"{curve}.csv"
        if not file.exists() or curve not in notes:
            continue
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        note = notes[curve]
        plot.draw(_chart(curve, rows), folder / f"{curve}.svg")
        text += f"\n## {curve.capitalize()}\n\n{_SAID[curve]}\n\n![{curve}]({curve}.svg)\n\n"
        text += _table(curve, rows)
        if curve == "faces" and (said := further_face(rows)):
            text += f"\n{said}"
        text += "\n{when}, {machine}; {clip}, {package} with {detector}.\n".format(**note)
    (folder / "curves.md").write_text(text)
