"""VVC (H.266) pictures by the vvenc inside imageio-ffmpeg: a bare bitstream, 10 bits, 4:2:0.

A quality is 63 less the quantisation parameter, so 0 is the coarsest; the preset is `slow`, without
perceptual adaptation. Sides are made even by repeating the last row or column.
"""

import subprocess
from importlib import metadata
from importlib.util import find_spec
from io import BytesIO

from PIL import Image

from hdcodec._errors import HdcError

START_CODE = b"\0\0\0\1"
COARSEST = 63
_COLOURS = "color_matrix=bt601:flags=bicubic+accurate_rnd"


def version() -> str:
    """The package behind it. Raises HdcError where it is not installed."""
    if find_spec("imageio_ffmpeg") is None:
        raise HdcError("rival vvc needs vvenc: pip install imageio-ffmpeg")
    return f"imageio-ffmpeg {metadata.version('imageio-ffmpeg')}"


def encode(image: Image.Image, quality: int) -> bytes:
    """The bitstream of an RGB picture at a quality 0..63; raises HdcError if vvenc fails."""
    even = _padded(image.convert("RGB"))
    size = f"{even.width}x{even.height}"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-i", "-", "-frames:v", "1"]
    scale = ["-vf", f"scale=out_range=full:out_{_COLOURS}", "-pix_fmt", "yuv420p10le"]
    qp = str(max(0, COARSEST - quality))
    coder = ["-c:v", "libvvenc", "-preset", "slow", "-qp", qp, "-qpa", "0", "-threads", "1"]
    return _ffmpeg([*given, *scale, *coder, "-f", "vvc", "-"], even.tobytes())


def decode(data: bytes, size: tuple[int, int]) -> Image.Image:
    """The picture of a bitstream; of `size` where that is the size before padding."""
    scale = ["-vf", f"scale=in_range=full:in_{_COLOURS}", "-pix_fmt", "rgb24"]
    png = _ffmpeg(["-f", "vvc", "-i", "-", *scale, "-f", "image2pipe", "-c:v", "png", "-"], data)
    with Image.open(BytesIO(png)) as file:
        picture = file.convert("RGB")
    padded = tuple(side + side % 2 for side in size)
    return picture.crop((0, 0, *size)) if picture.size == padded else picture


def _padded(image: Image.Image) -> Image.Image:
    width, height = image.size
    even = Image.new("RGB", (width + width % 2, height + height % 2))
    for left, top in ((width % 2, height % 2), (0, height % 2), (width % 2, 0), (0, 0)):
        even.paste(image, (left, top))
    return even


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        raise HdcError(f"vvc: {reason[-1]}")
    return done.stdout
