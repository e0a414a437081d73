"""Makes docs/benchmarks.md, and the table in README.md, from docs/benchmarks.json.

    python docs/make_benchmarks.py

The file holds every measured figure of the documents once. A table there has its columns (name to
digits after the point, null for text), its rows (or the name of a file of JSON lines), and where
they come from: the command, the date, the machine and, where they are not the landed ones, the
weights. New figures go into the file by hand, as the command printed them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
RESULTS, PAGE, README = DOCS / "benchmarks.json", DOCS / "benchmarks.md", DOCS.parent / "README.md"
BEGIN, END = "<!-- made by docs/make_benchmarks.py: begin -->", "<!-- end -->"

HEAD = """# Benchmarks

Made by `python docs/make_benchmarks.py` from [benchmarks.json](benchmarks.json); every measured
figure of the documents stands here and nowhere else. Under each table are the command that printed
it, the date and the machine. Weights, unless said otherwise: model id {model}, fingerprint
{fingerprint}.

{machines}

KODAK and PICTURE are pictures of your own copy of the set, METRICS a folder with the networks of
LPIPS and DISTS ([how to get them](../research/training.md#what-is-needed)), RESULTS the folder of
`--out`. A lower LPIPS or DISTS is better.
"""

Results = dict[str, Any]
Table = dict[str, Any]


def page(results: Results) -> str:
    """docs/benchmarks.md."""
    machines = "\n".join(f"- **{name}**: {what}" for name, what in results["machines"].items())
    parts = [HEAD.format(**results["weights"], machines=machines)]
    for section in results["sections"]:
        parts += [f"## {section['title']}\n", *(f"{text}\n" for text in section["text"])]
        parts += [f"![{text}]({path})\n" for text, path in section.get("images", [])]
        parts += [described(table) for table in section["tables"]]
    return "\n".join(parts)


def readme(results: Results, text: str) -> str:
    """The text of README.md with its table made anew."""
    wanted = results["readme"]
    table = named(results, wanted["table"])
    names = list(table["columns"])
    size, places = names.index("bytes"), [names.index(name) for name in wanted["columns"]]
    found = {row[size]: [row[place] for place in places] for row in table["rows"]}
    columns = {name: table["columns"][name] for name in wanted["columns"]}
    block = markdown(columns, [found[size] for size in wanted["bytes"]])
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def named(results: Results, name: str) -> Table:
    """The table of that id."""
    tables = (table for section in results["sections"] for table in section["tables"])
    return next(table for table in tables if table["id"] == name)


def described(table: Table) -> str:
    """A table with what it shows above, and where it comes from below."""
    commands = "; ".join(table["command"])
    weights = f"; weights: {table['weights']}" if "weights" in table else ""
    parts = [
        table["about"],
        markdown(table["columns"], rows(table)),
        f"By: {commands}. {table['date']}; machine: {table['machine']}{weights}.",
        *table.get("notes", []),
    ]
    return "".join(f"{part}\n\n" for part in parts if part).rstrip("\n") + "\n"


def rows(table: Table) -> list[list[Any]]:
    """Its rows, from a file of JSON lines beside this one if it names such a file."""
    if not isinstance(table["rows"], str):
        return list(table["rows"])
    lines = (DOCS / table["rows"]).read_text().splitlines()
    return [[json.loads(line)[name] for name in table["columns"]] for line in lines]


def markdown(columns: dict[str, int | None], values: list[list[Any]]) -> str:
    """A table; numbers have the digits of their column."""
    digits = list(columns.values())
    lines = [list(columns), ["---" if shown is None else "---:" for shown in digits]]
    lines += [[cell(*pair) for pair in zip(row, digits, strict=True)] for row in values]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any, digits: int | None) -> str:
    """A value as it is shown."""
    return str(value) if digits is None else f"{value:,.{digits}f}"


def main() -> None:
    """Write both."""
    results = json.loads(RESULTS.read_text())
    PAGE.write_text(page(results))
    README.write_text(readme(results, README.read_text()))


if __name__ == "__main__":
    main()
