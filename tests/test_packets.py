"""A file in packets: any order, doubles, losses, damage, other pictures among them."""

import json
import os
import random
from itertools import permutations
from pathlib import Path

import pytest
from command import Hdc
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hdcodec import (
    ChecksumError,
    Codec,
    CorruptError,
    HdcError,
    NotHdcError,
    TooLargeError,
    TruncatedError,
)
from hdcodec.packets import BARE, FULL, MOST, Packet, crc8, join, room, split

DATA = Path(__file__).parents[1] / "hdcodec" / "conformance" / "data"
FILES = {name: (DATA / f"{name}.hdc").read_bytes() for name in ("large", "kept-00", "kept-15")}


@pytest.fixture(params=[False, True], ids=["full", "bare"])
def bare(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def cut(data: bytes, count: int, **options: bool) -> list[bytes]:
    """A file in `count` packets."""
    for size in range(20, 2000):
        packets = split(data, size, **options) if room(size, MOST, **options) >= len(data) else []
        if len(packets) - options.get("parity", False) == count:
            return packets
    raise AssertionError


def test_a_packet_is_these_bytes() -> None:
    """Golden bytes of both forms."""
    assert crc8(b"123456789") == 0xDF
    packet = Packet(b"\x01\x02\x03", 2, 3, b"content")
    assert packet.pack(FULL).hex() == "ab5001020323b6082183636f6e74656e74"
    assert Packet(b"\x01", 0, 15, b"\xff").pack(BARE).hex() == "010f9eff"


@pytest.mark.parametrize("parity", [False, True])
def test_packets_in_any_order_make_the_file(bare: bool, parity: bool) -> None:
    data = FILES["kept-15"]
    packets = cut(data, 3, bare=bare, parity=parity)
    for order in permutations(packets):
        joined = join([*order, order[0]], bare=bare)
        assert joined.data == data
        assert joined.whole and joined.dropped == 0


def test_sizes_are_kept(bare: bool) -> None:
    data = FILES["large"]
    for parity in (False, True):
        for size in (100, 163, 237, 2000):
            if room(size, MOST, bare=bare, parity=parity) >= len(data):
                packets = split(data, size, bare=bare, parity=parity)
                assert max(map(len, packets)) <= size
                overhead = sum(map(len, packets[: len(packets) - parity])) - len(data)
                assert overhead == (len(packets) - parity) * (3 if bare else 10)


def test_any_one_that_is_lost_is_rebuilt(bare: bool) -> None:
    data = FILES["kept-15"]
    packets = cut(data, 5, bare=bare, parity=True)
    for lost in range(len(packets)):
        joined = join(packets[:lost] + packets[lost + 1 :], bare=bare)
        assert joined.data == data


def test_what_comes_before_a_gap_is_a_beginning(codec: Codec, bare: bool) -> None:
    data = FILES["large"]
    packets = cut(data, 6, bare=bare)
    joined = join([*packets[:3], *packets[4:]], bare=bare)
    assert not joined.whole and (joined.packets, joined.count) == (3, 6)
    assert data.startswith(joined.data)
    image = codec.decompress(joined.data, partial=True)
    assert 0 < image.info["share"] < 1
    with pytest.raises(TruncatedError, match="first packet is missing"):
        join(packets[1:], bare=bare)


def test_damaged_and_foreign_packets_are_left_out() -> None:
    one, other = cut(FILES["kept-15"], 4), cut(FILES["kept-00"], 3)
    damaged = bytearray(one[1])
    damaged[-1] ^= 1
    found = [other[0], bytes(damaged), b"", b"noise", *one, other[2]]
    random.Random(0).shuffle(found)
    joined = join(found)
    assert joined.data == FILES["kept-15"]
    assert joined.dropped == 5
    with pytest.raises(NotHdcError, match="no packet"):
        join([bytes(damaged), b"noise"])


@pytest.mark.parametrize("form", [FULL, BARE])
def test_every_flipped_bit_of_a_packet_is_found(form: object) -> None:
    packet = Packet(b"abc"[: form.id_bytes], 1, 2, bytes(range(60))).pack(form)  # type: ignore[attr-defined]
    for bit in range(8 * len(packet)):
        spoilt = bytearray(packet)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(HdcError):
            Packet.parse(bytes(spoilt), form)  # type: ignore[arg-type]


def test_a_damaged_packet_that_passes_its_check_is_no_wrong_picture() -> None:
    packets = cut(FILES["kept-15"], 3, bare=True)
    packet = Packet.parse(packets[1], BARE)
    spoilt = Packet(packet.image, 2, 3, bytes([packet.content[0] ^ 1]) + packet.content[1:])
    with pytest.raises(ChecksumError):
        join([packets[0], spoilt.pack(BARE), packets[2]], bare=True)


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans(), st.integers(0, 2**32))
def test_noise_is_no_packet_or_an_error(noise: list[bytes], bare: bool, seed: int) -> None:
    form, rng = BARE if bare else FULL, random.Random(seed)
    made = []
    for content in noise:
        head = content[: form.id_bytes].ljust(form.id_bytes, b"x")
        number, count = rng.randrange(16), rng.randrange(16)
        made.append(Packet(head, number, count, content + b"?").pack(form))
    try:
        join([*noise, *made], bare=bare)
    except HdcError as error:
        assert "\n" not in str(error)


def test_what_does_not_fit_is_said() -> None:
    data = FILES["large"]
    with pytest.raises(TooLargeError, match=f"packets, more than {MOST}"):
        split(data, 20)
    with pytest.raises(ValueError, match="packets of 10 bytes have no room"):
        split(data, 10)
    with pytest.raises(ValueError, match="1 to 15 packets, not 16"):
        room(100, 16)
    with pytest.raises(HdcError):
        split(data[:-1], 200)
    for head in (b"\x01\x00", b"\x01\x32"):
        with pytest.raises(CorruptError):
            Packet.parse(FULL.magic + b"ab" + head + bytes(10), FULL)


def test_the_commands(hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path, codec: Codec) -> None:
    small_astronaut.save(tmp_path / "a.png")
    limit = hdc("packets", "room", "--size", 158, "--count", 3, "--bare", "--parity")
    assert int(limit.out) == room(158, 3, bare=True, parity=True) == 459
    made = hdc("compress", tmp_path / "a.png", "--target-size", int(limit.out), "--json")
    assert made.facts["bytes"] <= 459
    command = ("packets", "split", tmp_path / "a.hdc", "--size", 158, "--bare", "--parity")
    done = hdc(*command, "--json")
    names = [Path(name) for name in done.facts["outputs"]]
    assert [name.name for name in names] == [
        *(f"a.{k}-of-3.hdp" for k in (1, 2, 3)),
        "a.parity-of-3.hdp",
    ]
    assert max(done.facts["bytes"]) <= 158
    assert hdc(*command).code == 1 and hdc(*command, "--force").code == 0
    out = tmp_path / "b.hdc"
    joined = hdc("packets", "join", *names[1:], "-o", out, "--bare", "--json")
    assert joined.facts["whole"] and out.read_bytes() == (tmp_path / "a.hdc").read_bytes()
    part = hdc("packets", "join", *names[:2], "-o", out, "--bare", "--force")
    assert part.code == 0 and "2 of 3 packets: hdc decompress --partial" in part.err
    assert json.loads(hdc("decompress", "--partial", out, "--json").out)["share"] < 1
    assert hdc("packets", "split", tmp_path / "a.hdc", "--size", 5).code == 2


def test_compress_makes_packets(hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path) -> None:
    small_astronaut.save(tmp_path / "a.png")
    wanted = ("--packets", 3, "--packet-size", 158, "--parity", "--bare")
    made = hdc("compress", tmp_path / "a.png", *wanted, "--json").facts
    assert made["bytes"] <= room(158, 3, bare=True, parity=True)
    assert max(made["packets"]["bytes"]) <= 158
    contents = [Path(name).read_bytes() for name in made["packets"]["outputs"]]
    assert len(contents) == 4
    assert join(contents[1:], bare=True).data == (tmp_path / "a.hdc").read_bytes()
    again = hdc("compress", tmp_path / "a.png", tmp_path / "b.hdc", *wanted)
    assert again.code == 0 and b"4 packets, " in again.out


def test_no_file_is_written_where_packets_are_in_the_way(
    hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path
) -> None:
    small_astronaut.save(tmp_path / "a.png")
    (tmp_path / "a.1-of-1.hdp").write_bytes(b"mine")
    wanted = ("--packets", 1, "--packet-size", 500)
    failed = hdc("compress", tmp_path / "a.png", *wanted)
    assert failed.code == 1 and "a.1-of-1.hdp exists already" in failed.err
    assert not (tmp_path / "a.hdc").exists()
    assert (tmp_path / "a.1-of-1.hdp").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("--packets", 2), "both --packets and --packet-size"),
        (("--packet-size", 158), "both --packets and --packet-size"),
        (("--bare",), "both --packets and --packet-size"),
        (("--packets", 2, "--packet-size", 158, "--bpp", 0.1), "exclude each other"),
        (("--packets", 16, "--packet-size", 158), "1 to 15 packets, not 16"),
        (("--packets", 2, "--packet-size", 10), "packets of 10 bytes have no room"),
    ],
)
def test_wrong_usage_of_packets(
    hdc: Hdc,
    small_astronaut: Image.Image,
    tmp_path: Path,
    wanted: tuple[object, ...],
    message: str,
) -> None:
    small_astronaut.save(tmp_path / "a.png")
    failed = hdc("compress", tmp_path / "a.png", *wanted)
    assert failed.code == 2 and message in failed.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_packets_are_not_for_a_stream(
    hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path
) -> None:
    small_astronaut.save(tmp_path / "a.png")
    failed = hdc("compress", tmp_path / "a.png", "-", "--packets", 2, "--packet-size", 158)
    assert failed.code == 2 and "name an OUTPUT" in failed.err


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_file_that_was_cut_twice_joins(bare: bool, lost: int) -> None:
    """Sent again in packets of another size, with one of parity or without."""
    data = FILES["kept-15"]
    size = -(-len(data) // 5)
    over = (BARE if bare else FULL).overhead
    one, other = (split(data, size + over + k, bare=bare) for k in (0, 2))
    assert len(one) == len(other) == 5
    assert join([*one[:lost], *other], bare=bare).data == data
    assert join([*other[: lost + 1], *one], bare=bare).data == data


def test_packets_of_an_earlier_cut_are_told(
    hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path
) -> None:
    small_astronaut.save(tmp_path / "a.png")
    three = hdc("compress", tmp_path / "a.png", "--packets", 3, "--packet-size", 100)
    two = hdc("compress", tmp_path / "a.png", "--packets", 2, "--packet-size", 100, "--force")
    assert "warning" not in three.err
    assert two.code == 0 and "a.3-of-3.hdp: not of these packets" in two.err


def test_no_packet_is_the_output(hdc: Hdc, tmp_path: Path) -> None:
    """As the last of a shell's *.hdp, where the -o is in the wrong place."""
    packets = []
    for k, packet in enumerate(cut(FILES["large"], 3)):
        packets.append(tmp_path / f"{k}.hdp")
        packets[-1].write_bytes(packet)
    before = packets[2].read_bytes()
    run = hdc("packets", "join", *packets, "-o", packets[2], "--force")
    assert (run.code, run.out) == (1, b"")
    assert run.err == f"hdc: cannot write {packets[2]}: it is the input\n"
    assert packets[2].read_bytes() == before


def test_packets_that_are_left_out_are_told(hdc: Hdc, tmp_path: Path) -> None:
    for name, packet in zip("abc", [*cut(FILES["large"], 2), b"noise"], strict=True):
        (tmp_path / name).write_bytes(packet)
    run = hdc("packets", "join", *(tmp_path / name for name in "abc"), "-o", tmp_path / "d.hdc")
    assert run.code == 0 and (tmp_path / "d.hdc").read_bytes() == FILES["large"]
    told = "hdc: warning: packets that are damaged or of another picture: 1\n"
    assert run.err == told


def test_packets_are_not_for_a_device(
    hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path
) -> None:
    small_astronaut.save(tmp_path / "a.png")
    wanted = ("--packets", 2, "--packet-size", 158)
    failed = hdc("compress", tmp_path / "a.png", os.devnull, *wanted)
    assert failed.code == 2 and "name an OUTPUT" in failed.err
