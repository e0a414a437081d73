"""hdc eval: measures this codec and its rivals on a folder of pictures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hdcodec.cli import _families as families
from hdcodec.cli import _options as options
from hdcodec.cli._files import printable

if TYPE_CHECKING:
    from hdcodec.eval import Curve

POINTS = "points.jsonl"
METRICS = "psnr,msssim,lpips_alex,lpips_vgg,dists"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--qualities",
    metavar="LIST",
    callback=options.listed(options.Finite(0, 100).convert),
    default="10,30,50",
    show_default=True,
    help="Qualities to code at; an empty list measures the rivals alone.",
)
@families.family_options("Encoding", without="metric_weights")
@families.family_options("Decoding", lists=True)
@options.model
@click.option(
    "--against",
    metavar="LIST",
    callback=options.listed(click.STRING.convert),
    default="",
    help="Rivals: avif, webp, jpeg, jxl, vvc; with @x2 or @x4 for a downscale around the codec.",
)
@click.option("--anchor", help="Whom BD-rates compare with (default: the first rival).")
@click.option(
    "--at",
    "rates",
    metavar="LIST",
    callback=options.listed(options.Finite(0, min_open=True).convert),
    default="0.02,0.03,0.05,0.1",
    show_default=True,
    help="Bits per pixel at which values are interpolated.",
)
@click.option(
    "--metrics",
    metavar="LIST",
    callback=options.listed(click.STRING.convert),
    default=METRICS,
    show_default=True,
    help="Of psnr, ssim, msssim, lpips_alex, lpips_vgg, dists, wd, kd.",
)
@options.metric_weights
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, points.jsonl and tables.md; points already there are not redone.",
)
@click.option("--limit", type=click.IntRange(1), help="Take only the first N pictures.")
@options.device
@options.as_json
@options.quiet
def command(
    folder: Path,
    qualities: list[float],
    model: str,
    against: list[str],
    anchor: str | None,
    rates: list[float],
    metrics: list[str],
    metric_weights: str | None,
    out: Path | None,
    limit: int | None,
    device: str,
    as_json: bool,
    quiet: bool,
    **family: Any,
) -> int:
    """Measure sizes, distortions, perceptual distances and seconds on the pictures in FOLDER.

    Values are means over the pictures, file sizes count every byte. Exit code 1 also where single
    pictures failed.
    """
    from hdcodec._atomic import write_bytes
    from hdcodec.cli._progress import Bar
    from hdcodec.eval import Files, Report, Store, check_names, picture_files, rival_curves, run
    from hdcodec.eval.gallery import gallery
    from hdcodec.pages import evaluation_page

    names = check_names(metrics)
    paths = picture_files(folder)[:limit]
    curves = _own_curves(qualities, model, device, family, metric_weights)
    curves += rival_curves(against)
    anchor = anchor or next((curve.name for curve in curves if curve.name in against), None)
    if out:
        out.mkdir(parents=True, exist_ok=True)
    files, failed = Files(), list[str]()
    total = len(paths) * sum(len(curve.settings) for curve in curves)
    with Bar(total, not (quiet or as_json)) as bar:

        def fail(reason: str) -> None:
            failed.append(reason)
            bar.write(f"hdc: {printable(reason)}")

        rows = run(
            paths,
            curves,
            names,
            store=Store(out / POINTS if out else None),
            files=files,
            weights=metric_weights,
            device=device,
            advance=bar.advance,
            fail=fail,
        )
    report = Report(rows, names, rates, anchor)
    if out:
        (out / "tables.md").write_text(report.markdown(), encoding="utf-8")
        shown = gallery(rows, names, curves[0], paths, files) if curves else None
        page = evaluation_page(report, folder.resolve().name, shown, POINTS)
        write_bytes(out / "report.html", page, force=True)
    if as_json:
        click.echo(json.dumps(report.as_object() | {"failed": failed}))
    elif not quiet:
        click.echo(report.markdown(), nl=False)
    return 1 if failed else 0


def _own_curves(
    qualities: list[float],
    model: str,
    device: str,
    family: dict[str, Any],
    metric_weights: str | None,
) -> "list[Curve]":
    from hdcodec.eval import own_curves

    dials = {name: family.pop(name) for name in families.family_names("Decoding")}
    dials = families.of_family(model, "Decoding", dials)
    chosen = families.of_family(model, "Encoding", family, metric_weights=metric_weights)
    if not qualities:
        return []
    return own_curves(qualities, dials, options=chosen, model=model, device=device)
