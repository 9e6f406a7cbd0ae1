"""What a camera really scores: labelled recordings played as live streams, several at a time.

Every recording is a camera's source (`file:`, in real time) with an events sink that writes every
frame. The scores are put on the recording's own frame times as ffprobe tells them, by the frame's number,
and judged by `locutor eval`. Beside them the same recordings are scored by `annotate --lookahead live`:
the mean difference of the scores on the same face of the same frame says how alike the two are.

    python3 benches/tables/live_accuracy.py --labels labels.csv clips/*.mp4
"""

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path

HEADER = ["video_id", "frame_timestamp", "entity_box_x1", "entity_box_y1", "entity_box_x2",
          "entity_box_y2", "label", "entity_id", "score"]
CAMERA = """name = "{name}"
[source]
uri = "file://{clip}"
[models]
{models}
[[sink]]
type = "events"
path = "{events}"
frames = true
rotate_mib = 10000
[serve]
health = "off"
"""


def frame_times(clip: Path) -> list[float]:
    """Seconds of every frame in the order of display, after edit lists."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
             "frame=best_effort_timestamp_time", "-of", "csv=p=0", str(clip)]
    text = subprocess.run(probe, check=True, capture_output=True, text=True).stdout
    return [float(line.split(",")[0]) for line in text.split()]


def faces(events: Path) -> dict[int, list[dict]]:
    """Faces by the number of their frame."""
    found: dict[int, list[dict]] = {}
    for line in events.read_text().splitlines():
        record = json.loads(line)
        if record["schema"].startswith("locutor.frame/"):
            found[record["seq"]] = record["faces"]
    return found


def rows(clip: Path, scored: dict[int, list[dict]], times: list[float]):
    for seq, found in sorted(scored.items()):
        for face in found:
            if face["score"] is not None and seq < len(times):
                label = "SPEAKING_AUDIBLE" if face["speaking"] else "NOT_SPEAKING"
                yield [clip.stem, f"{times[seq]:.3f}", *face["box"], label,
                       f"{clip.stem}_{face['track']}", face["score"]]


def overlap(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return both / (area(a) + area(b) - both) if both else 0.0


def differences(live: dict[int, list[dict]], file: dict[int, list[dict]]):
    """|p - p| of the same face in the same frame."""
    for seq, found in live.items():
        for face in found:
            same = [f for f in file.get(seq, []) if overlap(f["box"], face["box"]) > 0.5]
            if same and face["score"] is not None and same[0]["score"] is not None:
                yield abs(face["score"] - same[0]["score"])


def play(locutor: str, clips: list[Path], models: str, folder: Path) -> dict[Path, dict]:
    """Plays the clips at the same time; gives the faces of each."""
    files = []
    for clip in clips:
        file = folder / f"{clip.stem}.toml"
        events = folder / f"{clip.stem}.live.jsonl"
        file.write_text(CAMERA.format(name=clip.stem, clip=clip, models=models, events=events))
        files.append(str(file))
    subprocess.run([locutor, "run", *files, "--log", "error"], check=True)
    return {clip: faces(folder / f"{clip.stem}.live.jsonl") for clip in clips}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--locutor", default="target/release/locutor")
    parser.add_argument("--streams", type=int, default=4, help="recordings at a time")
    parser.add_argument("--package")
    parser.add_argument("--detector")
    parser.add_argument("--keep", type=Path, help="folder for the tables")
    args = parser.parse_args()
    models = "".join(f'{key} = "{value}"\n' for key, value in
                     [("speaker", args.package), ("detector", args.detector)] if value)
    options = [word for key, value in [("--package", args.package), ("--detector", args.detector)]
               if value for word in (key, value)]
    clips = [clip.resolve() for clip in args.clips]
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.keep or Path(scratch)).resolve()
        folder.mkdir(exist_ok=True)
        tables = {"live": [], "as-live": []}
        apart, frames, missing = [], 0, 0
        for first in range(0, len(clips), args.streams):
            batch = clips[first:first + args.streams]
            for clip, live in play(args.locutor, batch, models, folder).items():
                times = frame_times(clip)
                frames, missing = frames + len(times), missing + len(times) - len(live)
                events = folder / f"{clip.stem}.file.jsonl"
                subprocess.run([args.locutor, "annotate", str(clip), "--lookahead", "live",
                                "--events", str(events), "--overwrite", *options],
                               check=True, capture_output=True)
                file = faces(events)
                tables["live"] += rows(clip, live, times)
                tables["as-live"] += rows(clip, file, times)
                apart += differences(live, file)
        for name, table in tables.items():
            path = folder / f"{name}.csv"
            with path.open("w", newline="") as out:
                csv.writer(out).writerows([HEADER, *table])
            print(f"== {name}", flush=True)
            subprocess.run([args.locutor, "eval", "--labels", str(args.labels), "--predictions",
                            str(path)], check=True)
        print(f"mean |dp| {sum(apart) / max(len(apart), 1):.4f} over {len(apart)} face-frames; "
              f"{missing} of {frames} frames without a record")


if __name__ == "__main__":
    main()
