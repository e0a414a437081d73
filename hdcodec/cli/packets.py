"""hdc packets: a file in pieces of a few hundred bytes, and back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from hdcodec._errors import ExistsError
from hdcodec.cli import _options as options
from hdcodec.cli._files import Output, naming, read_hdc, reading, tell

SUFFIX = ".hdp"
FOLDER = click.Path(exists=True, file_okay=False)
MOST_BYTES = 1 << 16
"""Of a packet."""

bare = click.option(
    "--bare",
    is_flag=True,
    help="Packets of 3 bytes of overhead, for transports that know what they carry; 10 otherwise.",
)
parity = click.option(
    "--parity", is_flag=True, help="One packet more, which rebuilds any one that is lost."
)
size = click.option(
    "--size", type=click.IntRange(4, MOST_BYTES), required=True, help="Bytes of a packet, at most."
)


@click.group()
def command() -> None:
    """Split a file into packets, or join them.

    Packets may come in any order and more than once. What is there up to the first gap makes a
    picture: hdc decompress --partial. The layout is in docs/packets.md.
    """


@command.command()
@click.argument("source", metavar="FILE.hdc", type=options.FILE)
@click.argument("folder", metavar="[FOLDER]", required=False, type=FOLDER)
@size
@parity
@bare
@options.force
@options.as_json
@options.quiet
def split(
    source: str,
    folder: str | None,
    size: int,
    parity: bool,
    bare: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the packets of FILE.hdc to FOLDER, beside the file unless given.

    photo.hdc becomes photo.1-of-3.hdp, photo.2-of-3.hdp and so on, and photo.parity-of-3.hdp.
    """
    from hdcodec import packets
    from hdcodec._atomic import write_bytes

    data = read_hdc(source)
    with naming(source):
        made = _sized(lambda: packets.split(data, size, parity=parity, bare=bare))
    names = _names(source, folder, len(made) - parity, parity)
    for name in names:
        if os.path.lexists(name) and not force:
            raise ExistsError(f"{name} exists already (--force replaces it)")
    for name, packet in zip(names, made, strict=True):
        write_bytes(name, packet, force=force)
    sizes = [len(packet) for packet in made]
    facts = {"input": source, "outputs": names, "bytes": sizes}
    line = f"{source}: {len(made)} packets, {sum(sizes):,} bytes in all, {max(sizes)} at most"
    Output(names[0], force, False).report(line, facts, as_json, quiet)


@command.command()
@click.argument("sources", metavar="PACKET...", nargs=-1, required=True, type=options.FILE)
@click.option("-o", "--output", type=options.FILE, required=True, metavar="FILE.hdc")
@bare
@options.force
@options.as_json
@options.quiet
def join(
    sources: tuple[str, ...], output: str, bare: bool, force: bool, as_json: bool, quiet: bool
) -> None:
    """Write the file that PACKETs make, or as much of its beginning as is there.

    Damaged packets, and those of other pictures than the one that most are of, are left out.
    """
    from hdcodec import packets

    target = Output.planned(sources[0], output, ".hdc", force)
    found = []
    for source in sources:
        with reading(source) as stream:
            found.append(stream.read(MOST_BYTES + 1))
    joined = packets.join(found, bare=bare)
    target.write(joined.data)
    if joined.dropped:
        tell(f"hdc: warning: {joined.dropped} packets are damaged or of another picture")
    if not joined.whole:
        tell(
            f"hdc: warning: {target.name} is a beginning of the file, {joined.packets} of "
            f"{joined.count} packets: hdc decompress --partial"
        )
    facts = {"output": target.name, "bytes": len(joined.data), "whole": joined.whole}
    facts |= {"packets": joined.packets, "count": joined.count, "dropped": joined.dropped}
    line = f"{target.name}: {len(joined.data):,} bytes, {joined.packets} of {joined.count} packets"
    target.report(line, facts, as_json, quiet)


@command.command()
@size
@click.option("--count", type=click.IntRange(1), required=True, help="Packets of a file.")
@parity
@bare
def room(size: int, count: int, parity: bool, bare: bool) -> None:
    """Print how many bytes a file may have for so many packets, the parity packet not counted.

    hdc compress photo.jpg --target-size $(hdc packets room --size 163 --count 3 --bare)
    """
    from hdcodec import packets

    click.echo(_sized(lambda: packets.room(size, count, parity=parity, bare=bare)))


T = TypeVar("T")


def _sized(work: Callable[[], T]) -> T:
    """The result of `work`; a size or count that cannot be is wrong usage."""
    try:
        return work()
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _names(source: str, folder: str | None, count: int, parity: bool) -> list[str]:
    path = Path(source)
    stem = "picture" if source == "-" else path.stem
    place = Path(folder) if folder is not None else path.parent
    numbers = [str(k + 1) for k in range(count)] + ["parity"] * parity
    return [str(place / f"{stem}.{number}-of-{count}{SUFFIX}") for number in numbers]
