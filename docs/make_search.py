"""Draws what a search at the encoder does: original, without and with it, at equal bytes.

python docs/make_search.py docs/search.webp PICTURE... --metric-weights METRICS
    [--quality 45] [--effort 1] [--fidelity 0.75] [--crop 100,150,484,450]
"""

from pathlib import Path

import click
from PIL import Image

from hdcodec import Codec
from hdcodec.images import load


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--quality", default=45.0, show_default=True)
@click.option("--effort", default=1, show_default=True)
@click.option("--fidelity", default=0.75, show_default=True)
@click.option("--crop", default="100,150,484,450", show_default=True, help="left,top,right,bottom")
def main(
    out: Path,
    pictures: tuple[Path, ...],
    metric_weights: str | None,
    quality: float,
    effort: int,
    fidelity: float,
    crop: str,
) -> None:
    """A row for each of PICTURES into OUT, and its bytes on the terminal."""
    codec = Codec(device="cpu")
    left, top, right, bottom = map(int, crop.split(","))
    width, height = right - left, bottom - top
    sheet = Image.new("RGB", (3 * width, height * len(pictures)))
    for row, path in enumerate(pictures):
        image = load(path).rgb
        searched = codec.compress(
            image, quality=quality, effort=effort, tune="perceptual", metric_weights=metric_weights
        )
        plain = codec.compress(image, target_size=len(searched))
        shown = [image, *(codec.decompress(data, fidelity=fidelity) for data in (plain, searched))]
        for column, picture in enumerate(shown):
            part = picture.crop((left, top, right, bottom))
            sheet.paste(part, (column * width, row * height))
        print(f"{path.name}: {len(plain)} bytes without, {len(searched)} with the search")
    sheet.save(out, quality=75)


if __name__ == "__main__":
    main()
