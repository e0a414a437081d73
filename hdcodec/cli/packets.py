"""hdc packets: a file in pieces of a few hundred bytes, and back."""

from pathlib import Path

import click

from hdcodec.cli import _options as options
from hdcodec.cli._files import STREAM, Output, naming, read_hdc, reading, say, tell
from hdcodec.cli._packets import BYTES, MOST_BYTES, Cut, Packets, bare, parity

FOLDER = click.Path(exists=True, file_okay=False)

size = click.option("--size", type=BYTES, required=True, help="Bytes of a packet, at most.")


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
    data = read_hdc(source)
    path = Path(source)
    place = path.parent if folder is None else Path(folder)
    stem = "picture" if source == STREAM else path.stem
    with naming(source):
        made = Packets.planned(data, Cut(size, parity, bare), place, stem, force)
    made.write()
    line = f"{source}: {made.line}"
    Output(made.names[0], force, False).report(line, {"input": source} | made.facts, as_json, quiet)


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

    target = Output.planned(sources[0], output, ".hdc", force, *sources[1:])
    found = []
    for source in sources:
        with reading(source) as stream:
            found.append(stream.read(MOST_BYTES + 1))
    joined = packets.join(found, bare=bare)
    target.write(joined.data)
    if joined.dropped:
        tell(f"hdc: warning: packets that are damaged or of another picture: {joined.dropped}")
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

    hdc compress photo.jpg --packets 3 --packet-size 163 --bare does it by itself.
    """
    say(str(Cut(size, parity, bare).room(count)))
