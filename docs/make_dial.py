"""Draws what the fidelity dial trades, from points of `hdc eval ... --fidelity 0,0.25,0.5,0.75,1`.

python docs/make_dial.py RESULTS/points.jsonl docs/dial.png [--quality 50]
"""

import json
import re
from collections import defaultdict
from pathlib import Path

import click

METRICS = {"dists": "DISTS", "lpips_alex": "LPIPS-Alex"}
NAME = re.compile(r"(hdc|hdc effort=\d+) fidelity=([\d.]+)")


@click.command()
@click.argument("points", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quality", default=50.0, show_default=True)
def main(points: Path, out: Path, quality: float) -> None:
    """Plot means over the pictures in POINTS into OUT, and print them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found: dict[tuple[str, float], list[dict[str, float]]] = defaultdict(list)
    for line in points.read_text().splitlines():
        row = json.loads(line)
        name = NAME.fullmatch(row["codec"])
        if name and row["setting"] == quality:
            found[name[1], float(name[2])].append(row)
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for codec in sorted({codec for codec, _ in found}):
        dials = sorted(dial for name, dial in found if name == codec)
        means = [
            {k: sum(r[k] for r in rows) / len(rows) for k in ("bpp", "psnr", *METRICS)}
            for rows in (found[codec, dial] for dial in dials)
        ]
        for dial, mean in zip(dials, means, strict=True):
            print(codec, dial, {k: round(v, 4) for k, v in mean.items()})
        for axis, (metric, title) in zip(axes, METRICS.items(), strict=True):
            x, y = [m["psnr"] for m in means], [m[metric] for m in means]
            axis.plot(x, y, "o-", label=f"{codec}, {means[0]['bpp']:.4f} bpp")
            for dial, place in zip(dials, zip(x, y, strict=True), strict=True):
                axis.annotate(
                    f"{dial:g}", place, textcoords="offset points", xytext=(4, 4), fontsize="small"
                )
            axis.set(xlabel="PSNR (dB)", ylabel=f"{title} (less is better)")
            axis.legend(fontsize="small")
    figure.suptitle(f"The fidelity dial, 0 to 1, at quality {quality:g}")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main()
