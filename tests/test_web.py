"""The decoder in JavaScript against the one in Python: the same facts, symbols and errors.

HDC_WEB_FILES=500 in the environment tries as many random files, and of damaged ones more.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzz import mutate
from fuzz.corpus import hollow_files
from headers import header
from javascript import Answer, ask, expected_info, expected_symbols, files, given, needs_node
from PIL import Image
from reordered import ORDERED, by_scale

from hdcodec import Codec, HdcError, weights
from hdcodec.conformance import suite
from hdcodec.format import CHUNK_NAMES, MAX_PIXELS, MAX_SIDE, MODELS, pack, unpack
from hdcodec.models import FAMILIES, family_class

ROOT = Path(__file__).parents[1]
SERVICE = "sw.js"
"""The service worker, which is a browser's alone."""

MODULES = sorted(p for p in (ROOT / "hdcodec" / "web").glob("*.js") if p.name != SERVICE)
SMALL = ["one-pixel", "kept-02", "kept-15", "mapped", "scaled", "gray-alpha", "all-chunks"]
PIXELS = 1 << 14
COUNT = int(os.environ.get("HDC_WEB_FILES", "40"))

pytestmark = needs_node


def agree(found: list[Answer], wanted: list[Answer], what: list[bytes]) -> None:
    """Of each file the same, down to the message of an error."""
    for one, other, data in zip(found, wanted, what, strict=True):
        assert one.outcome == other.outcome, data[:400].hex()


# ---- intact files ----


def test_conformance_files_say_what_they_say_everywhere() -> None:
    expected = suite.expected()["files"]
    paths = [str(suite.DATA / f"{name}.hdc") for name in expected]
    answers = ask([{"what": "info", "path": path} for path in paths])
    assert {name: a.found for name, a in zip(expected, answers, strict=True)} == expected


def test_random_files_say_the_same(codec: Codec, photos: dict[str, Image.Image]) -> None:
    made = list(files(codec, list(photos.values()), COUNT))
    wanted = [expected_info(data) for data in made]
    agree(ask([{"what": "info", **given(data)} for data in made]), wanted, made)
    assert sum(answer.error is None for answer in wanted) > 0.7 * COUNT
    facts = [answer.found for answer in wanted if answer.found]
    assert {fact["version"] for fact in facts} == {1, 2}
    for key in ("coded_width", "quality_map"):
        assert any(key in fact for fact in facts)
    assert len({fact["kept_fraction"] for fact in facts}) > 5
    assert {kind for fact in facts for kind in fact["chunks"]} >= {"alpha", "xmp", "gray", "200"}


def test_bands_do_not_change_symbols() -> None:
    names = ["large", "column-long", "row-long", "tiles-3x2", "mapped", "senseless-50", "kept-15"]
    asked = [
        {"what": "banded", "path": str(suite.DATA / f"{name}.hdc"), "positions": positions}
        for name in names
        for positions in (1, 100)
    ]
    expected = suite.expected()["files"]
    wanted = [expected[name]["symbols_sha256"] for name in names for _ in range(2)]
    assert [answer.found for answer in ask(asked)] == wanted


def test_latents_by_scale() -> None:
    tensors = weights.find(1).arrays("entropy.safetensors")
    names = ["column-long", "tiles-3x2", "mapped", "chequered", "kept-15"]
    made = [by_scale(suite.read(name), tensors) for name in names]
    more = {"what": "banded", "more": list(ORDERED)}
    asked = [more | given(data) | {"positions": k} for data, _ in made for k in (1, 1 << 20)]
    wanted = [symbols for _, symbols in made for _ in range(2)]
    assert [answer.found for answer in ask(asked)] == wanted


def test_a_page_finds_the_same(face: Image.Image, tmp_path: Path) -> None:
    """In Node and, where there is one, in a headless Chromium, by the script that takes times."""
    face.save(tmp_path / "face.png")
    command: list[Any] = [sys.executable, ROOT / "benchmarks" / "web.py", tmp_path / "face.png"]
    browser = os.environ.get("HDC_CHROMIUM")
    options = ["--quality", "30", "--runs", "1", *(["--chromium", browser] if browser else [])]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, _, row = done.stdout.splitlines()[-3:]
    assert "| node, first, s |" in head and row.startswith("| 30 |")
    assert not browser or "| chromium, first, s |" in head


def test_beginnings_of_files_say_the_same() -> None:
    random, cut = Random(3), []
    for name in SMALL:
        data = suite.read(name)
        cut += [data[: random.randrange(len(data) + 1)] for _ in range(6)]
        cut.append(data[:-1] + b"?")
    wanted = [expected_symbols(data) for data in cut]
    agree(ask([{"what": "symbols", "partial": True, **given(d)} for d in cut]), wanted, cut)
    assert sum(answer.error is None for answer in wanted) > len(cut) / 3
    assert any("inside the hyper-latents" in str(answer.message) for answer in wanted)


# ---- damaged and hostile files ----


def expected_container(data: bytes, **options: Any) -> Answer:
    try:
        box = unpack(data, **options)
    except HdcError as fault:
        return Answer(None, type(fault).__name__, str(fault))
    head = box.header
    facts = {
        **{name: getattr(head, name) for name in ("version", "width", "height", "model")},
        **{"parameters": list(head.parameters), "scale": head.scale, "flags": head.flags},
        "chunks": [[kind, hashlib.sha256(chunk).hexdigest()] for kind, chunk in box.chunks.items()],
        **{"headerBytes": box.header_bytes, "chunkBytes": box.chunk_bytes, "bytes": len(data)},
        **{"partial": False, "payload": hashlib.sha256(box.payload).hexdigest()},
    }
    return Answer(facts)


def check_containers(damaged: list[bytes]) -> set[str | None]:
    """The kinds of errors, None for none."""
    wanted = [expected_container(data) for data in damaged]
    found = ask([{"what": "container", **given(data)} for data in damaged])
    agree(found, wanted, damaged)
    return {answer.error for answer in wanted}


def test_flipped_bits_cuts_and_additions_are_the_same_errors() -> None:
    random, damaged = Random(4), []
    for name in SMALL:
        data = suite.read(name)
        damaged += [data[:size] for size in range(len(data))]
        damaged += [data + bytes(n) for n in (1, 2, 3, 4, 100)]
        for _ in range(150):
            flipped = bytearray(data)
            flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
            damaged.append(bytes(flipped))
    assert check_containers(damaged) >= {"TruncatedError", "ChecksumError", "NotHdcError"}


def test_hostile_containers_are_the_same_errors() -> None:
    """What the fuzzer makes of headers, chunk lists and alpha channels, with right checksums."""
    seeds, random = hollow_files(), Random(5)
    kinds = check_containers([mutate.mutant(seeds, random) for _ in range(100 * COUNT)])
    assert kinds >= {None, "CorruptError", "TooLargeError", "UnknownModelError"}
    assert kinds >= {"UnsupportedVersionError", "TruncatedError", "ChecksumError", "NotHdcError"}


def test_hostile_symbols_are_the_same_errors() -> None:
    """What it makes of files that decode, range streams among them."""
    seeds, random = [suite.read(name) for name in SMALL], Random(6)
    damaged = [mutate.mutant(seeds, random, calm=0.85) for _ in range(6 * COUNT)]
    wanted = [expected_info(data, max_pixels=PIXELS) for data in damaged]
    asked = [{"what": "info", "maxPixels": PIXELS, **given(data)} for data in damaged]
    agree(ask(asked), wanted, damaged)
    said = {str(answer.message) for answer in wanted}
    for words in ("ends before its last symbol", "stream is corrupt", "quality is"):
        assert any(words in message for message in said), words
    assert sum(answer.error is None for answer in wanted) > COUNT


def test_streams_that_an_encoder_cannot_write_are_the_same_errors() -> None:
    """Maps in more words than needed, flags that there are not, streams of ones."""
    random = Random(7)
    sizes = ((500, 90), (64, 64), (400, 700))
    heads = [header(*size, 60, 4, flags=flags) for size in sizes for flags in (1, 2, 7)]
    streams = [random.randbytes(n) for n in (0, 1, 9, 60, 300)] + [b"\xff" * 40, bytes(40)]
    streams += [bytes([255 - k]) + random.randbytes(50) for k in range(0, 60, 5)]
    made = [pack(head, stream) for head in heads for stream in streams]
    wanted = [expected_info(data) for data in made]
    agree(ask([{"what": "info", **given(data)} for data in made]), wanted, made)
    said = {str(answer.message) for answer in wanted}
    for words in ("in more words", "cannot hold", "the flags are"):
        assert any(words in message for message in said), words


@pytest.mark.parametrize("limit", [178_956_970, 4_294_836_225, 65_535 * 2_731 - 1])
def test_products_of_sizes_are_not_cut_to_some_bits(limit: int) -> None:
    sizes = [(65_535, 65_535), (65_535, 2_731), (65_535, 32_769), (46_341, 46_341)]
    made = [pack(header(*size, 100, 7), bytes(9)) for size in sizes]
    wanted = [expected_info(data, max_pixels=limit) for data in made]
    agree(ask([{"what": "info", "maxPixels": limit, **given(d)} for d in made]), wanted, made)


def test_a_file_beyond_the_limit_of_bytes_is_refused() -> None:
    (answer,) = ask([{"what": "container", "zeros": 1 << 28}])
    assert answer.error == "TooLargeError"
    assert answer.message == "the file is larger than 268435455 bytes"


# ---- what is registered, and weights ----


def test_models_families_and_limits_are_those_of_python() -> None:
    registry, limits = (answer.found for answer in ask([{"what": "registry"}, {"what": "limits"}]))
    assert {number: model for number, model in registry["models"]} == {
        number: vars(model) for number, model in MODELS.items()
    }
    assert registry["families"] == list(FAMILIES)
    families = (family_class(model.family) for model in MODELS.values())
    assert registry["fidelities"] == [family.Decoding().fidelity for family in families]
    chunks = [list(pair) for pair in CHUNK_NAMES.items()]
    assert limits == {"pixels": MAX_PIXELS, "side": MAX_SIDE, "chunks": chunks}


def test_other_weights_are_refused(tmp_path: Path) -> None:
    shipped = weights.find(1).folder
    manifest = (shipped / "manifest.json").read_text()
    entropy = (shipped / "entropy.safetensors").read_bytes()
    folders = {
        "other": (manifest, entropy[:-1] + b"?"),
        "cut": (manifest, entropy[:-1]),
        "unlisted": (manifest.replace("entropy.safetensors", "e.safetensors"), entropy),
        "none": ("[]", entropy),
        "text": ("nul", entropy),
        "later": (re.sub(r'"model_id": *1\b', '"model_id": 9', manifest), entropy),
    }
    for name, (text, data) in folders.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
        (tmp_path / name / "entropy.safetensors").write_bytes(data)
    file = {"what": "weights", "path": str(suite.DATA / "tile.hdc")}
    found = ask([{**file, "folder": str(tmp_path / name)} for name in folders])
    found += ask([file, {**file, "folder": str(shipped), "names": []}])
    assert [answer.error for answer in found] == [
        *["WeightsError"] * 5,
        "UnknownModelError",
        "MissingWeightsError",
        "WeightsError",
    ]
    assert "is not the one that was shipped" in str(found[0].message)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_PLACES", (tmp_path / "absent", tmp_path / "renamed"))
        (tmp_path / "renamed").mkdir()
        (tmp_path / "later").rename(tmp_path / "renamed" / "hdc")
        with pytest.raises(HdcError) as missing:
            weights.find(1)
    assert found[-2].message == str(missing.value)


# ---- the modules ----


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_modules_run_in_a_browser(module: Path) -> None:
    """They import one another alone, and use nothing that Node alone has."""
    text = module.read_text()
    for place in re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', text):
        assert place.startswith("./") and (module.parent / place).exists(), place
    assert not re.search(r"\b(?:process|Buffer|require|global|__dirname|fetch|eval)\b[.(\[]", text)
    assert text.startswith("/**")


def raised() -> Iterator[tuple[str, str]]:
    """Kind and message of every error that the modules make, with "..." for its parts."""
    made = re.compile(r'new (\w+Error)\(\s*((?:[`"][^`"]*[`"][\s+]*)+)')
    for module in MODULES:
        for kind, text in made.findall(module.read_text()):
            joined = "".join(re.findall(r'[`"]([^`"]*)[`"]', text))
            yield kind, re.sub(r"\$\{[^}]*\}", "...", joined)


def test_every_message_is_documented_under_its_kind() -> None:
    from test_errors import blanked, messages

    found = list(raised())
    assert len(found) > 40
    for kind, message in found:
        patterns = (re.escape(blanked(known)).replace(r"\*", ".+") for known in messages(kind))
        assert any(re.fullmatch(pattern, message) for pattern in patterns), f"{kind}: {message}"


def test_types_are_right() -> None:
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("there is no tsc to check types")
    config = str(ROOT / "tests" / "web" / "tsconfig.json")
    done = subprocess.run([tsc, "-p", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
