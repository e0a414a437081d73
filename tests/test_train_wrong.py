"""What the training command says of wrong options and of files of another kind: one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from hdcodec.train.__main__ import main
from hdcodec.train.models import NEEDED
from hdcodec.train.stages import STAGES


@pytest.fixture
def data(tmp_path: Path, small_cat: Image.Image) -> Path:
    """A folder of one photograph."""
    folder = tmp_path / "photos"
    folder.mkdir()
    small_cat.resize((128, 128)).save(folder / "cat.png")
    return folder


def said(data: Path, stage: str, *options: str | Path) -> str:
    """The last line of a run that fails as it should."""
    line = [stage, "--data", data, "--out", data.parent / "out", "--minutes", "1", "--max-steps=0"]
    done = CliRunner().invoke(main, [str(word) for word in (*line, *options)])
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit), done.exception
    assert not list(data.parent.glob("out/*.pt"))
    return done.output.splitlines()[-1]


FILES: dict[str, tuple[Any, str]] = {
    "garbage": (None, "holds no weights that torch can read"),
    "list": ([1, 2], "is not a checkpoint"),
    "weights": ({"x": torch.zeros(3)}, "is not"),
    "other": ({"average": {"x": torch.zeros(3)}}, "is a"),
}


@pytest.fixture(params=FILES)
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A file of another kind, and what is said of it."""
    path, (held, message) = tmp_path / "wrong.pt", FILES[request.param]
    path.write_bytes(b"garbage") if held is None else torch.save(held, path)
    return path, message


NEEDY = [name for name, stage in STAGES.items() if stage.needs]


@pytest.mark.parametrize("stage", ["vae", *NEEDY])
def test_files_of_another_kind_are_refused(stage: str, data: Path, wrong: tuple[Path, str]) -> None:
    path, message = wrong
    options = [word for need in STAGES[stage].needs for word in (f"--{need}", path)]
    line = said(data, stage, *(options or ["--init", path]))
    assert str(path) in line
    assert message in line or "is not of EfficientNet-Lite0" in line


def test_a_tar_file_that_is_none_is_named(data: Path) -> None:
    (data / "more.tar").write_bytes(b"nothing")
    assert f"{data / 'more.tar'} is not a whole tar file" in said(data, "vae")


def test_hdc_does_not_begin_from_another_model(data: Path, wrong: tuple[Path, str]) -> None:
    path, _ = wrong
    assert said(data, "draw", "--init", path).endswith(f"{path} is not a checkpoint of hdc")


def test_a_folder_is_no_checkpoint(data: Path) -> None:
    """The tokens' networks are in none, whatever it holds."""
    line = said(data, "tokens", "--init", data)
    assert line.endswith("is a folder, where a checkpoint is needed")


NEEDS = [(name, need) for name, stage in STAGES.items() for need in stage.needs]


@pytest.mark.parametrize(("stage", "need"), NEEDS)
def test_stages_say_what_they_need(stage: str, need: str, data: Path) -> None:
    others = {name: data / "cat.png" for name in STAGES[stage].needs if name != need}
    options = [word for name, path in others.items() for word in (f"--{name}", path)]
    assert said(data, stage, *options).endswith(f"the stage {stage} needs {NEEDED[need]}")


def test_stages_do_not_take_what_others_take(data: Path) -> None:
    assert "No such option '--views'" in said(data, "vae", "--views", "2")
    assert "No such option '--diffusion'" in said(data, "vae", "--diffusion", data)
    assert "pixel-head" in said(data, "codec", "--without", "head")


def test_options_that_cannot_be_are_refused(data: Path) -> None:
    assert "not a finite number" in said(data, "lic", "--minutes", "nan")
    assert "not in the range" in said(data, "lic", "--batch", "0")
    assert "not in the range" in said(data, "lic", "--lr", "-1")
    assert "a multiple of 64" in said(data, "lic", "--crop", "100")
    assert "unknown device 'fog'" in said(data, "lic", "--device", "fog")
