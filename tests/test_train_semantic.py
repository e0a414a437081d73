"""The semantic encoder of the sprdiff family, its teacher, and the stage that trains it."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from command import script
from PIL import Image
from small_stages import STUDENT, changed, checkpoint, generator, resumed
from torch import Tensor

from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.config import SemanticConfig
from hdcodec.train import semantic
from hdcodec.train.teacher import BLOCKS, Teacher, load_teacher


def lite0() -> dict[str, Tensor]:
    """Random weights with the names and shapes of EfficientNet-Lite0's, up to stride 16."""
    state: dict[str, Tensor] = {}

    def convolution(name: str, norm: str, *shape: int) -> None:
        fan = shape[1] * shape[2] ** 2
        state[f"{name}.weight"] = torch.randn(shape, generator=source) * (2 / fan) ** 0.5
        for kind in ("weight", "running_var"):
            state[f"{norm}.{kind}"] = 0.5 + torch.rand(shape[0], generator=source)
        for kind in ("bias", "running_mean"):
            state[f"{norm}.{kind}"] = 0.1 * torch.randn(shape[0], generator=source)

    source, wide = generator(0), [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112]
    convolution("_conv_stem", "_bn0", 32, 3, 3, 3)
    for k, count in enumerate(wide):
        name, before = f"_blocks.{k}", 32 if k == 0 else wide[k - 1]
        middle = before if k == 0 else 6 * before
        if k:
            convolution(f"{name}._expand_conv", f"{name}._bn0", middle, before, 1, 1)
        side = 5 if k in (3, 4, 8, 9, 10) else 3
        convolution(f"{name}._depthwise_conv", f"{name}._bn1", middle, 1, side, side)
        convolution(f"{name}._project_conv", f"{name}._bn2", count, middle, 1, 1)
    return state


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "lite0.pth"
    torch.save(lite0() | {"_fc.weight": torch.zeros(4)}, path)
    return path


def test_a_normalisation_is_part_of_the_convolution_before_it() -> None:
    state, x = lite0(), torch.rand(2, 3, 32, 48, generator=generator())
    y = torch.nn.functional.conv2d(
        torch.nn.functional.pad((x - 127 / 255) / (128 / 255), (0, 1, 0, 1)),
        state["_conv_stem.weight"],
        stride=2,
    )
    names = ("running_mean", "running_var", "weight", "bias")
    y = torch.nn.functional.batch_norm(y, *(state[f"_bn0.{name}"] for name in names), eps=1e-3)
    teacher = Teacher(state)
    found = teacher.stem((x - 127 / 255) / (128 / 255))
    torch.testing.assert_close(found, y, rtol=1e-4, atol=1e-4)
    assert len(teacher.blocks) == BLOCKS
    assert teacher(x).shape == (2, 112, 2, 3)


def test_a_teacher_is_read_whole_or_in_part(teacher_file: Path, tmp_path: Path) -> None:
    pieces = script("research/gpu/pieces.py")
    part, x = tmp_path / "part.pt", torch.rand(1, 3, 32, 32, generator=generator())
    line = f"teacher {teacher_file} {part}"
    CliRunner().invoke(pieces.main, line, catch_exceptions=False)
    assert "_fc.weight" not in checkpoint(part)
    whole, less = load_teacher(teacher_file, "cpu")(x), load_teacher(part, "cpu")(x)
    torch.testing.assert_close(less, whole, rtol=0.05, atol=0.05 * float(whole.abs().max()))
    torch.save({"fc.weight": torch.zeros(2)}, part)
    with pytest.raises(ValueError, match=r"is not of EfficientNet-Lite0: it lacks '_conv_stem"):
        load_teacher(part, "cpu")


def test_a_student_is_asked_for_the_components_that_differ_most() -> None:
    model = semantic.Student(SemanticConfig(features=2))
    common = torch.randn(2, 4000, generator=generator())
    features = 0.01 * torch.randn(112, 4000, generator=generator(1))
    features[:40] += 5 + common[0]
    features[40:60] += 3 * common[1]
    model.measure(features)
    wanted = model.wanted(features[None, :, :, None])[0, :, :, 0]
    assert wanted.mean(1).abs().max() < 0.01
    correlation = torch.corrcoef(torch.cat([wanted, common]))[:2, 2:].abs()
    assert correlation.diagonal().min() > 0.98


def test_features_are_directions() -> None:
    y = semantic.SemanticEncoder(STUDENT)(torch.rand(2, 3, 32, 48))
    assert y.shape == (2, 8, 2, 3)
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 2, 3))
    torch.testing.assert_close(semantic.cosine_distance(y, 3 * y), torch.zeros(2, 2, 3))
    torch.testing.assert_close(semantic.cosine_distance(y, -y), torch.full((2, 2, 3), 2.0))


def test_the_stage_semantic_learns_and_is_resumed(
    data: Path,
    tiny_hdc: HdcModel,
    teacher_file: Path,
    random_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(semantic, "restore", lambda _: tiny_hdc)
    monkeypatch.setattr(semantic, "MEASURED", 8)
    options = {"data": data, "metric_weights": random_weights, "teacher": teacher_file}
    options |= {"minutes": 10, "batch": 4, "crop": 48, "config": STUDENT, "out": tmp_path}
    first, second = resumed("semantic", options)
    assert torch.equal(
        first["model"]["encoder.analysis.net.1.0.depth.weight"].sign(),
        tiny_hdc.lic.analysis.state_dict()["net.1.0.depth.weight"].sign(),
    )
    assert torch.equal(first["model"]["into"], second["average"]["into"])
    assert changed(first["model"], second["model"]) == {"encoder"}
    with Image.open(tmp_path / "semantic.png") as sheet:
        assert sheet.size == (5 * 256, 256)
