"""Draws what a file makes of its first bytes: one picture, cut again and again.

    python docs/make_progress.py docs/progress.webp docs/astronaut.jpg
"""

from pathlib import Path

import click
from PIL import Image

from hdcodec import Codec
from hdcodec.images import load

SHARES = (0.15, 0.3, 0.5, 0.75, 1.0)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("picture", type=click.Path(exists=True, path_type=Path))
@click.option("--bpp", default=0.05, show_default=True)
@click.option("--width", default=300, show_default=True, help="Of each picture in the strip.")
def main(out: Path, picture: Path, bpp: float, width: int) -> None:
    """Put what is seen of PICTURE at some shares of its bytes side by side, in OUT."""
    codec = Codec(device="cpu")
    data = codec.compress(load(picture).rgb, bpp=bpp, protect="none")
    sizes = [round(share * len(data)) for share in SHARES]
    shown = [codec.decompress(data[:size], partial=True) for size in sizes]
    height = round(width * shown[0].height / shown[0].width)
    strip = Image.new("RGB", (width * len(shown), height))
    for at, image in enumerate(shown):
        small = image.resize((width, height), Image.Resampling.LANCZOS)
        strip.paste(small, (width * at, 0))
    strip.save(out, quality=85, method=6)
    click.echo(", ".join(f"{size:,}" for size in sizes) + " bytes")


if __name__ == "__main__":
    main()
