"""Draws what a search at the encoder does: original, without and with it, at equal bytes.

python docs/make_search.py docs/search.webp PICTURE... --metric-weights METRICS
"""

from pathlib import Path

import click
from PIL import Image

from hdcodec import Codec
from hdcodec.images import load

QUALITY, EFFORT, FIDELITY = 45, 1, 0.75
BOX = (100, 150, 484, 450)
WIDTH, HEIGHT = BOX[2] - BOX[0], BOX[3] - BOX[1]


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
def main(out: Path, pictures: tuple[Path, ...], metric_weights: str | None) -> None:
    """A row for each of PICTURES into OUT, and its bytes on the terminal."""
    codec = Codec(device="cpu")
    search = {"effort": EFFORT, "tune": "perceptual", "metric_weights": metric_weights}
    sheet = Image.new("RGB", (3 * WIDTH, HEIGHT * len(pictures)))
    for row, path in enumerate(pictures):
        image = load(path).rgb
        searched = codec.compress(image, quality=QUALITY, protect="none", **search)
        plain = codec.compress(image, target_size=len(searched), protect="none")
        shown = [image, *(codec.decompress(data, fidelity=FIDELITY) for data in (plain, searched))]
        for column, picture in enumerate(shown):
            sheet.paste(picture.crop(BOX), (column * WIDTH, row * HEIGHT))
        print(f"{path.name}: {len(plain)} bytes without, {len(searched)} with the search")
    sheet.save(out, quality=75)


if __name__ == "__main__":
    main()
