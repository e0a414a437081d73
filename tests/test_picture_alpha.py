"""What lies under full transparency neither costs bytes nor bleeds into what is seen."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

import hdcodec
from hdcodec import Codec
from hdcodec.images import Picture, from_pil


def disc(photo: Image.Image, under: Image.Image) -> Image.Image:
    """A round cut of the photo, with `under` where it is transparent."""
    (width, height), alpha = photo.size, Image.new("L", photo.size)
    box = width // 6, height // 6, width * 5 // 6, height * 5 // 6
    ImageDraw.Draw(alpha).ellipse(box, fill=255)
    image = Image.composite(photo, under, alpha)
    image.putalpha(alpha)
    return image


def noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def rgb_error(decoded: Image.Image, wanted: Image.Image, where: np.ndarray) -> float:
    gap = np.abs(np.asarray(decoded.convert("RGBA")).astype(int) - np.asarray(wanted))
    return float(gap[where][:, :3].mean())


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (37, 50), (128, 128)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_seen_stays_and_what_is_hidden_does_not_matter(
    small_astronaut: Image.Image, size: tuple[int, int], mode: str
) -> None:
    photo = small_astronaut.resize(size)
    pictures = []
    for under in (noise(size), Image.new("RGB", size, "white")):
        image = disc(photo, under).convert(mode)
        picture = from_pil(image)
        seen = np.asarray(image.getchannel("A")) > 0
        rgb, wanted = np.asarray(picture.rgb), np.asarray(image.convert("RGB"))
        assert np.array_equal(rgb[seen], wanted[seen])
        pictures.append(rgb)
    assert np.array_equal(*pictures)
    if mode == "LA":
        assert np.ptp(pictures[0].astype(int), axis=2).max() == 0


def test_hidden_colours_run_on_smoothly_from_the_edge(small_astronaut: Image.Image) -> None:
    image = disc(small_astronaut, noise(small_astronaut.size))
    hidden = np.asarray(image.getchannel("A")) == 0
    rgb = np.asarray(from_pil(image).rgb).astype(int)
    steps = np.abs(np.diff(rgb, axis=1)).max(axis=2)
    assert steps[hidden[:, 1:] & hidden[:, :-1]].mean() < 4
    assert steps[hidden[:, 1:] != hidden[:, :-1]].mean() < 40


def test_pixels_that_are_faintly_seen_stay() -> None:
    image = noise((40, 30)).convert("RGBA")
    image.putalpha(1)
    assert from_pil(image).rgb.tobytes() == noise((40, 30)).tobytes()


def test_a_picture_of_which_nothing_is_seen_is_of_one_colour() -> None:
    image = noise((40, 30)).convert("RGBA")
    image.putalpha(0)
    assert len(from_pil(image).rgb.getcolors() or ()) == 1


def test_the_edge_is_closer_in_fewer_bytes(codec: Codec, astronaut: Image.Image) -> None:
    photo = astronaut.resize((256, 256))
    image = disc(photo, noise(photo.size))
    alpha = image.getchannel("A")
    seen = np.asarray(alpha) > 0
    inside = np.pad(seen, 2)[:-4, 2:-2] & np.pad(seen, 2)[4:, 2:-2]
    inside &= np.pad(seen, 2)[2:-2, :-4] & np.pad(seen, 2)[2:-2, 4:]
    edge = seen & ~inside
    assert 500 < edge.sum() < 3000
    sizes, errors = [], []
    for picture in (Picture(image.convert("RGB"), alpha), from_pil(image)):
        data = codec.compress(picture, quality=60)
        sizes.append(hdcodec.info(data)["lic_bytes"])
        errors.append(rgb_error(codec.decompress(data), image, edge))
    assert sizes[1] < 0.8 * sizes[0]
    assert errors[1] < 0.8 * errors[0]
