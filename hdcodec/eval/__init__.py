"""Measures codecs on a folder of pictures: sizes, distortions, perceptual distances, seconds."""

from hdcodec.eval.codecs import Curve, own_curves, rival_curves
from hdcodec.eval.curves import at_rate, bd_rate
from hdcodec.eval.metrics import METRICS, Reference, check_names, measure
from hdcodec.eval.points import Files, Point, Store, picture_files, run
from hdcodec.eval.report import Report

__all__ = [
    "METRICS",
    "Curve",
    "Files",
    "Point",
    "Reference",
    "Report",
    "Store",
    "at_rate",
    "bd_rate",
    "check_names",
    "measure",
    "own_curves",
    "picture_files",
    "rival_curves",
    "run",
]
