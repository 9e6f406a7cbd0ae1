"""What the part benches printed, as rows."""

import re
from dataclasses import dataclass

# What one call is, and what the case says.
WHAT = {
    "crop": "a crop: source, face in pixels",
    "detector_input": "the detector's tensor: source, long side",
    "shot_cut": "shot cut, a frame",
    "log_mel_second": "log-mel rows, a second of audio",
    "mfcc_second": "MFCC rows, a second of audio",
    "track_second": "tracking, a second: faces",
    "head_windows_second": "a face's windows, a second, the head at once: hop, lookahead",
    "scorer_second": "scorer, a second of 360p, the model at once: faces",
    "raw_map_gate_activation": "a face's raw map: channels, side in cells",
    "running_scale": "a map to its running scale: side in cells",
    "upsample_112": "a map enlarged to 112 × 112: side in cells, weights rebuilt",
    "heat_to_yuv": "a heatmap in the frame's colour and size",
    "paint": "all sprites of a frame: frame, faces",
    "blend": "blending them: frame, faces",
    "queue_one_thread": "1 000 items through a queue, one thread",
    "queue_two_threads": "1 000 items through a queue, two threads",
}


@dataclass
class Part:
    """A bench of one function, or of one of its cases."""

    name: str
    case: str
    median: str


def _case(words: str) -> str:
    """`((640, 360), 4)` as a person writes it."""
    words = re.sub(r"\((\d{3,}), (\d{3,})\)", r"\1×\2", words)
    return words.removeprefix("(").removesuffix(")")


def read(text: str) -> list[Part]:
    """The rows of divan's tree."""
    found: list[Part] = []
    path: list[str] = []
    for line in text.splitlines():
        cells = line.rsplit("│", 5)
        match = re.match(r"^([│ ]*[├╰]─ )(.+)$", cells[0])
        if len(cells) != 6 or not match:
            continue
        depth = len(match.group(1)) // 3 - 1
        # The name ends where the first figure's column begins.
        name, *_ = re.split(r"\s{2,}", match.group(2).strip())
        path = [*path[:depth], name]
        median = cells[2].strip()
        if not median:
            continue
        # A folder, a function, and perhaps its case.
        function, case = (path[1], path[2]) if len(path) > 2 else (path[-1], "")
        found.append(Part(function, _case(case), median))
    return found
