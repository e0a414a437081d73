"""Training: every stage for a few steps on two photographs, and what comes out of it."""

import json
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from metric_weights import shared_weights
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load
from small_stages import checkpoint
from torch import Tensor, nn

from hdcodec import Codec, MissingWeightsError, info, weights
from hdcodec.format import MODELS
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent import layers
from hdcodec.perceptual import patterns, turned, view
from hdcodec.perceptual._backbone import folded
from hdcodec.train import draws
from hdcodec.train.__main__ import main
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.export import export
from hdcodec.train.loop import Settings, cosine
from hdcodec.train.models import load_hdc, start_hdc
from hdcodec.train.optimizer import Optimizer
from hdcodec.train.restore import restore
from hdcodec.train.run import export_weights, prepare, train
from hdcodec.train.stages import STAGES

State = dict[str, Tensor]
ORDER = [name for name, stage in STAGES.items() if stage.model == "hdc"]


@pytest.fixture(scope="session")
def metric_weights() -> Path:
    return shared_weights()


@pytest.fixture(scope="session")
def trained(
    data: Path, metric_weights: Path, tiny_config: Config, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The checkpoints of all stages, each trained for two steps from the one before."""
    out = tmp_path_factory.mktemp("checkpoints")
    for stage in ORDER:
        train(
            stage,
            data=data,
            out=out,
            minutes=10,
            metric_weights=metric_weights,
            batch=2,
            max_steps=2,
            config=tiny_config,
        )
    return out


def within(name: str, parts: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{part}.") for part in parts)


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_leaves_a_checkpoint_and_a_sheet(trained: Path, stage: str) -> None:
    saved = checkpoint(trained / f"{stage}.pt")
    assert saved["step"] == 2
    assert saved["seconds"] > 0
    assert all(tensor.isfinite().all() for tensor in saved["model"].values())
    with Image.open(trained / f"{stage}.png") as sheet:
        assert sheet.size == (7 * 256, 256)


@pytest.mark.parametrize("stage", ORDER[1:])
def test_a_stage_begins_with_the_one_before(trained: Path, stage: str) -> None:
    before = checkpoint(trained / f"{ORDER[ORDER.index(stage) - 1]}.pt")["average"]
    after = checkpoint(trained / f"{stage}.pt")
    for name, tensor in before.items():
        if not within(name, STAGES[stage].parts):
            assert torch.equal(after["model"][name], tensor), name
            assert torch.equal(after["average"][name], tensor), name


def crops(data: Path, seed: int = 0) -> Crops:
    return Crops(read_photos(data), size=128, batch=2, seed=seed)


def cloned(model: torch.nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("stage", ORDER)
def test_late_in_a_stage_exactly_its_parts_learn(
    trained: Path,
    data: Path,
    metric_weights: Path,
    tiny_config: Config,
    tmp_path: Path,
    stage: str,
) -> None:
    """The end of a stage adds losses, and a head that begins at zero lets gradients through in the
    second step: so all of its parts learn."""
    before_it = trained / f"{ORDER[max(0, ORDER.index(stage) - 1)]}.pt"
    model = start_hdc(before_it, tiny_config)
    before = cloned(model)
    settings = Settings(out=tmp_path, minutes=100, max_steps=2)
    trainer = prepare(stage, model, crops(data), settings, metric_weights)
    trainer.seconds = 95 * 60.0
    average = cloned(trainer.run())
    parts, after = STAGES[stage].parts, cloned(model)
    frozen = [name for name in before if not within(name, parts)]
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert all(torch.equal(before[name], average[name]) for name in frozen)
    for part in parts:
        own = [name for name in before if within(name, (part,))]
        assert any(not torch.equal(before[name], after[name]) for name in own), part
        assert any(not torch.equal(before[name], average[name]) for name in own), part


def test_networks_made_deeper_begin_where_they_were(trained: Path, tiny_config: Config) -> None:
    depths = ("detail_depth", "head_depth", "decoder_detail_depth")
    deeper = replace(tiny_config, **{name: getattr(tiny_config, name) + 1 for name in depths})
    before, after = (load_hdc(trained / "joint.pt", cfg).eval() for cfg in (tiny_config, deeper))
    assert len(after.state_dict()) > len(before.state_dict())
    noise = torch.rand(1, 2 * tiny_config.drv, 4, 4)
    pictures = []
    for model in (before, after):
        latent = torch.arange(8.0).expand(1, tiny_config.latent, 8, 8)
        indices = torch.arange(64).reshape(1, 8, 8) % tiny_config.codes
        kept, fidelity = torch.ones(1, 1, 8, 8, dtype=torch.bool), torch.zeros(1, 1, 1, 1)
        with torch.no_grad():
            qindex = torch.full((1, latent.shape[2] // 4, latent.shape[3] // 4), 90)
            shown = model.reconstruct(latent, qindex, indices, kept, noise, fidelity)
        pictures.append(shown)
    assert torch.equal(*pictures)


def test_a_view_shows_the_same_of_all_pictures() -> None:
    generator, marked = torch.Generator().manual_seed(0), torch.zeros(1, 1, 48, 48)
    marked[..., 16:24, 16:32] = 1
    places = set()
    for _ in range(200):
        one, two = view(torch.cat([marked, marked + 1]), generator).chunk(2)
        assert torch.equal(one + 1, two)
        assert one.sum() == marked.sum()
        assert one.shape[2:] == (32, 32)
        places |= set(one.nonzero()[0].tolist())
    assert len(places) > 16


@pytest.mark.parametrize("shape", [(2, 48, 8, 12), (1, 16, 5, 7)])
def test_the_ways_of_a_gpu_give_what_a_cpu_gives(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    layer = layers.Pointwise(shape[1], 24)
    ours = layers.product(x, layer.weight, layer.bias)
    assert torch.allclose(ours, layer(x), atol=1e-5)
    for r in (2, 4):
        grown = layers.shuffled(x, r)
        assert torch.equal(grown, F.pixel_shuffle(x, r))
        assert torch.equal(layers.unshuffled(grown, r), x)
        assert grown.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [31, 64, 241, 242, 243])
def test_a_folded_convolution_is_the_same(side: int) -> None:
    conv, x = nn.Conv2d(3, 8, 11, 4, 2), torch.randn(1, 3, side, side + 5)
    assert torch.allclose(folded(conv, x), conv(x), atol=1e-5)


def test_low_qualities_are_drawn_more_often() -> None:
    x, generator = torch.zeros(4000), torch.Generator().manual_seed(0)
    for power, share in ((1.0, 1 / 2), (1.5, 0.63)):
        drawn = draws.random_qindex(x, generator, power=power)
        assert drawn.min() >= 0
        assert drawn.max() <= 200
        assert abs(float((drawn <= 100).float().mean()) - share) < 0.03


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_recorded_step_trains_as_a_plain_one(
    data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"metric_weights": metric_weights, "config": tiny_config, "batch": 2}
    options |= {"data": data, "out": tmp_path, "minutes": 10, "optimizer": "muon"}
    train("whole", max_steps=8, device="cuda", **options)
    assert checkpoint(tmp_path / "whole.pt")["step"] == 8


def test_a_square_is_turned_in_eight_ways() -> None:
    generator, picture = torch.Generator().manual_seed(0), torch.arange(9.0).reshape(1, 1, 3, 3)
    ways = {tuple(turned(picture, generator).flatten().tolist()) for _ in range(100)}
    assert len(ways) == 8


@pytest.mark.parametrize("period", [2, 4, 5, 8])
def test_a_grid_is_a_pattern_and_blur_is_none(photo_files: dict[str, Path], period: int) -> None:
    photos = []
    for path in photo_files.values():
        with Image.open(path) as image:
            photos.append(np.asarray(image.convert("RGB").crop((40, 20, 296, 276))))
    x = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255
    grid = torch.zeros(1, 1, 256, 256)
    grid[..., ::period, ::period] = 1
    own, drawn = patterns(x, x), patterns(x + 0.1 * (grid - grid.mean()), x)
    blurred = patterns(F.avg_pool2d(x, 5, 1, 2, count_include_pad=False), x)
    assert own.max() < 0.02
    assert blurred.max() < 0.02
    assert (drawn > 10 * torch.maximum(own, blurred)).all()


def test_discriminators_go_on_from_stage_to_stage(
    trained: Path, data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"metric_weights": metric_weights, "config": tiny_config, "batch": 2}
    train(
        "joint",
        data=data,
        out=tmp_path,
        minutes=10,
        max_steps=0,
        init=trained / "drv2.pt",
        **options,
    )
    before, after = (
        checkpoint(trained / "drv2.pt")["aside"],
        checkpoint(tmp_path / "joint.pt")["aside"],
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "aside" not in checkpoint(trained / "lic.pt")


def test_resuming_continues_the_counters(
    trained: Path, data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "vq.pt"
    path.write_bytes((trained / "vq.pt").read_bytes())
    options: dict[str, Any] = {"metric_weights": metric_weights, "config": tiny_config, "batch": 2}
    train("vq", data=data, out=tmp_path, minutes=10, resume=True, max_steps=3, **options)
    old, new = checkpoint(trained / "vq.pt"), checkpoint(path)
    assert new["step"] == 3
    assert new["seconds"] > old["seconds"]
    steps = {int(s["step"]) for part in new["optimizer"] for s in part["state"].values()}
    assert max(steps) == 3
    name = "vq_encoder.net.4.weight"
    assert not torch.equal(old["model"][name], new["model"][name])


def test_training_needs_no_coder() -> None:
    code = "import sys, hdcodec.train.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" in done.stdout.split()
    assert not {"constriction", "compressai"} & set(done.stdout.split())


@pytest.mark.parametrize(("stage", "half"), [("lic", True), ("drv2", False)])
def test_bfloat16_is_used_where_the_processor_has_it(
    trained: Path,
    data: Path,
    metric_weights: Path,
    tiny_config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    half: bool,
) -> None:
    monkeypatch.setattr("hdcodec.train.precision.has_bfloat16", lambda device: half)
    options: dict[str, Any] = {"metric_weights": metric_weights, "config": tiny_config, "batch": 2}
    options |= {"init": trained / "drv1.pt", "optimizer": "muon", "max_steps": 1}
    seen = set()

    def look(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(module, nn.Conv2d):
            seen.add(output.dtype)

    with nn.modules.module.register_module_forward_hook(look):
        train(stage, data=data, out=tmp_path, minutes=10, **options)
    assert (torch.bfloat16 in seen) == half
    assert checkpoint(tmp_path / f"{stage}.pt")["step"] == 1


def test_muon_moves_matrices_alike_in_all_directions() -> None:
    matrix = nn.Parameter(torch.zeros(64, 32, 1, 1))
    vector = nn.Parameter(torch.zeros(64))
    optimizer = Optimizer("muon", [matrix, vector], lr=1.0)
    matrix.grad, vector.grad = torch.randn(64, 32, 1, 1), torch.randn(64)
    optimizer.set_rate(0.01)
    optimizer.step()
    sizes = torch.linalg.svdvals(matrix.detach()[:, :, 0, 0]) / (0.01 * 0.2 * 64**0.5)
    assert sizes.min() > 0.5
    assert sizes.max() < 1.5
    assert torch.allclose(vector.abs(), torch.tensor(0.01), rtol=1e-3)
    optimizer.zero_grad()
    assert matrix.grad is None


def test_a_stage_with_muon_can_be_resumed(
    data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"metric_weights": metric_weights, "config": tiny_config, "batch": 2}
    options |= {"data": data, "out": tmp_path, "minutes": 10, "optimizer": "muon"}
    train("lic", max_steps=2, **options)
    first = checkpoint(tmp_path / "lic.pt")
    train("lic", max_steps=3, resume=True, **options)
    second = checkpoint(tmp_path / "lic.pt")
    assert second["step"] == 3
    name = "lic.synthesis.coarse.0.weight"
    assert not torch.equal(first["model"][name], second["model"][name])


def test_steps_alone_decide_what_comes_out(
    data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"metric_weights": metric_weights, "config": tiny_config, "batch": 2}
    for name, pause in (("first", 0.0), ("second", 0.2)):
        time.sleep(pause)
        train("lic", data=data, out=tmp_path / name, minutes=600, max_steps=4, **options)
    first, second = (checkpoint(tmp_path / name / "lic.pt") for name in ("first", "second"))
    for name, tensor in first["model"].items():
        assert torch.equal(tensor, second["model"][name]), name
    rates = [group["lr"] for group in first["optimizer"][0]["param_groups"]]
    assert rates == [pytest.approx(1e-3 * cosine(0.75, 0.03))]


def test_resuming_a_finished_stage_changes_nothing(
    trained: Path, data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    (tmp_path / "vq.pt").write_bytes((trained / "vq.pt").read_bytes())
    train(
        "vq",
        data=data,
        out=tmp_path,
        minutes=10,
        metric_weights=metric_weights,
        resume=True,
        max_steps=2,
        config=tiny_config,
    )
    old, new = checkpoint(trained / "vq.pt"), checkpoint(tmp_path / "vq.pt")
    assert (old["step"], old["seconds"]) == (new["step"], new["seconds"])
    assert all(torch.equal(new["model"][name], old["model"][name]) for name in old["model"])
    assert all(torch.equal(new["average"][name], old["average"][name]) for name in old["average"])


def test_the_log_names_loss_speed_and_share_of_data(
    data: Path,
    metric_weights: Path,
    tiny_config: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings(out=tmp_path, minutes=10, max_steps=2, log_steps=1)
    prepare("lic", HdcModel(tiny_config), crops(data), settings, metric_weights).run()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert {"stage", "minutes", "images_per_s", "data_percent", "bpp_low"} <= set(row)
        assert row["loss"] > 0


# ---- photographs ----


def test_the_order_of_the_data_is_fixed(data: Path) -> None:
    one, other = crops(data), crops(data)
    for step in (0, 1, 500):
        assert torch.equal(one(step), other(step))
    assert not torch.equal(one(0), one(1))
    assert not torch.equal(one(0), crops(data, seed=1)(0))


def test_crops_are_pieces_of_the_photographs(data: Path) -> None:
    batch = crops(data)(3)
    assert batch.shape == (2, 3, 128, 128)
    assert 0 <= batch.min() < batch.max() <= 1
    for crop in batch.mul(255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8):
        assert any(found(crop, photo) for photo in read_photos(data))


def found(crop: NDArray[np.uint8], photo: NDArray[np.uint8]) -> bool:
    """Whether the crop or its mirror image lies somewhere in the photograph."""
    views = np.lib.stride_tricks.sliding_window_view(photo, (128, 128, 3))[:, :, 0]
    for each in (crop, crop[:, ::-1]):
        near = (views[:, :, ::40, ::40] == each[::40, ::40]).all((2, 3, 4))
        if any((views[i, j] == each).all() for i, j in np.argwhere(near)):
            return True
    return False


def test_photos_come_from_files_and_tars_in_order(data: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(data / "cat.png", "cat.png")
        tar.add(Path(__file__), "notes.txt")
    (tmp_path / "b.png").write_bytes((data / "astronaut.png").read_bytes())
    (tmp_path / "notes.txt").write_text("no photo")
    assert [photo.shape for photo in read_photos(tmp_path)] == [(130, 160, 3), (256, 256, 3)]
    assert len(read_photos(tmp_path, smallest=200)) == 1
    assert len(read_photos(tmp_path, limit=1)) == 1


def test_a_folder_without_photos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photo"):
        read_photos(tmp_path)


# ---- export ----


def test_the_ladder_command_measures_every_pair(
    trained: Path,
    own_weights: Path,
    metric_weights: Path,
    tiny_config: Config,
    small_cat: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hdcodec.train.ladder.GRID", (0, 200))
    monkeypatch.setattr("hdcodec.train.ladder.KEPT", (0, 9))
    export_weights(trained / "drv2.pt", own_weights, 1, None, {}, tiny_config)
    pictures, out = tmp_path / "pictures", tmp_path / "ladder.json"
    pictures.mkdir()
    small_cat.crop((0, 0, 128, 128)).save(pictures / "cat.png")
    command = ["ladder", str(pictures), str(out), "--metric-weights", str(metric_weights)]
    run = CliRunner().invoke(main, command, catch_exceptions=False)
    points = [line.split() for line in run.output.splitlines() if line.startswith("qindex")]
    pairs = [(int(p[1]), int(p[3][:-1])) for p in points]
    assert pairs == [(0, 0), (200, 0), (0, 9), (200, 9)]
    few, much, few_kept, much_kept = (float(p[4]) for p in points)
    assert few < few_kept and much < much_kept
    ladder = json.loads(out.read_text())
    assert len(ladder) == 201 and set(ladder) <= {0, 9}


def test_exported_weights_make_and_read_files(
    trained: Path,
    own_weights: Path,
    tiny_config: Config,
    small_cat: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ladder = tmp_path / "ladder.json"
    ladder.write_text(json.dumps([15] * 201))
    export_weights(trained / "drv2.pt", own_weights, 1, ladder, {"steps": "2"}, tiny_config)
    manifest = json.loads((own_weights / "manifest.json").read_text())
    assert manifest["training"] == {"steps": "2"}
    for path in own_weights.iterdir():
        assert path.stat().st_mode & 0o777 == 0o644
    assert set(manifest["files"]) == {path.name for path in own_weights.glob("*.safetensors")}
    codec = Codec(device="cpu")
    data = codec.compress(small_cat, quality=50)
    assert info(data)["kept_fraction"] == 1
    decoded = codec.decompress(data)
    assert decoded.size == small_cat.size
    with pytest.raises(ValueError, match="new weights need a new model id"):
        export_weights(trained / "drv2.pt", own_weights, 1, None, {}, tiny_config)
    monkeypatch.setitem(MODELS, 2, MODELS[1])
    export_weights(trained / "drv2.pt", own_weights, 2, None, {}, tiny_config)
    assert weights.find(2).manifest["ladder"] == [15] * 201
    with pytest.raises(MissingWeightsError, match="model 1"):
        weights.find(1)


def test_exported_networks_are_the_averaged_ones(
    trained: Path, own_weights: Path, tiny_config: Config
) -> None:
    export_weights(trained / "drv2.pt", own_weights, 1, None, {}, tiny_config)
    average = load_hdc(trained / "drv2.pt", tiny_config).state_dict()
    exported = Codec(device="cpu", backend="torch").networks.graphs.model.state_dict()
    for name in ("vq_decoder.enter.weight", "lic.analysis.net.4.bias", "denoisers.1.leave.weight"):
        assert torch.equal(exported[name], average[name].half().float()), name


def test_the_command_trains_and_exports(
    data: Path, metric_weights: Path, own_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shared = f"--data {data} --out {out} --metric-weights {metric_weights}"
    trained = CliRunner().invoke(main, f"vq {shared} --minutes 1 --max-steps 0")
    assert trained.exit_code == 0, trained.output
    argv = f"export {out / 'vq.pt'} {own_weights} --model-id 1 --note by=test"
    exported = CliRunner().invoke(main, argv)
    assert exported.exit_code == 0, exported.output
    assert weights.find(1).manifest["config"] == Config().to_dict()
    assert weights.find(1).manifest["training"] == {"by": "test"}


def test_landed_weights_can_be_trained_further(tmp_path: Path) -> None:
    landed = weights.find(1)
    export(restore(landed), tmp_path, {"ladder": landed.manifest["ladder"]}, 1)
    for name in set(landed.manifest["files"]) - {"entropy.safetensors"}:
        assert (tmp_path / name).read_bytes() == (landed.folder / name).read_bytes(), name
    made = load((tmp_path / "entropy.safetensors").read_bytes())
    del made["by_scale"]  # which says the order of symbols in weights from now on
    assert {name: tensor.tobytes() for name, tensor in made.items()} == {
        name: tensor.tobytes() for name, tensor in landed.arrays("entropy.safetensors").items()
    }
