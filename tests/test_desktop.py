"""What desktops and shells get: the file type, the thumbnailer, completion."""

import configparser
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest
from headers import header
from PIL import Image

import hdcodec
from hdcodec.format import GRAY, MAGIC, pack
from hdcodec.pillow_plugin import EXTENSION, MIME

DESKTOP = Path(str(files("hdcodec"))) / "desktop"
SPACE = "{http://www.freedesktop.org/standards/shared-mime-info}"
SHELLS = ["bash", "zsh", "fish"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, photo_files: dict[str, Path]) -> Path:
    """A picture of 72 x 48 pixels, in a folder whose name has a space."""
    with Image.open(photo_files["coffee"]) as image:
        data = hdcodec.compress(image.convert("RGB").resize((72, 48)), device="cpu")
    path = tmp_path_factory.mktemp("some pictures") / "coffee.hdc"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def path_with_hdc(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `hdc` is this very code."""
    folder = tmp_path_factory.mktemp("bin")
    entry = "import sys; from hdcodec.cli import main; sys.exit(main())"
    command = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{entry}" "$@"\n'
    (folder / "hdc").write_text(command)
    (folder / "hdc").chmod(stat.S_IRWXU)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


# The file type


@pytest.fixture(scope="module")
def kind() -> ElementTree.Element:
    found = ElementTree.parse(DESKTOP / "hdcodec.xml").getroot().find(f"{SPACE}mime-type")
    assert found is not None
    return found


def matches(element: ElementTree.Element, data: bytes) -> bool:
    """Whether one of the <match> elements in this one fits the data, as their standard says."""
    inside = element.findall(f"{SPACE}match")
    return not inside or any(fits(match, data) and matches(match, data) for match in inside)


def fits(match: ElementTree.Element, data: bytes) -> bool:
    start, value = int(match.attrib["offset"]), match.attrib["value"]
    if match.attrib["type"] == "byte":
        return data[start] & int(match.attrib["mask"], 0) == int(value, 0)
    wanted = value.encode("latin-1").decode("unicode_escape").encode("latin-1")
    return data[start:].startswith(wanted)


def test_the_file_type_is_the_plugins(kind: ElementTree.Element) -> None:
    globs = [glob.attrib["pattern"] for glob in kind.findall(f"{SPACE}glob")]
    assert (kind.attrib["type"], globs) == (MIME, [f"*{EXTENSION}"])


def test_the_magic_fits_every_file_and_no_other(kind: ElementTree.Element, file: Path) -> None:
    (magic,) = kind.findall(f"{SPACE}magic")
    whole = pack(header(9, 9, quality=200, kept=15), b"", {GRAY: b""})
    assert matches(magic, file.read_bytes())
    assert matches(magic, whole)
    assert whole.startswith(MAGIC)
    for other in (MAGIC[:1] + b"h\x10", MAGIC + b"\x20", MAGIC + b"\x0f", b"\x89PNG\r\n\x1a\n"):
        assert not matches(magic, other)


@pytest.mark.skipif(
    not (shutil.which("update-mime-database") and shutil.which("gio")),
    reason="there is no update-mime-database, or no gio",
)
def test_a_desktop_knows_the_file_by_its_content(file: Path, tmp_path: Path) -> None:
    (tmp_path / "mime" / "packages").mkdir(parents=True)
    shutil.copy(DESKTOP / "hdcodec.xml", tmp_path / "mime" / "packages")
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path), "XDG_DATA_DIRS": str(tmp_path)}
    update = ["update-mime-database", str(tmp_path / "mime")]
    subprocess.run(update, check=True, env=environment)
    shutil.copy(file, tmp_path / "nameless")
    ask = ["gio", "info", "-a", "standard::content-type", str(tmp_path / "nameless")]
    assert f"content-type: {MIME}\n" in subprocess.check_output(ask, text=True, env=environment)


# The thumbnailer


@pytest.fixture(scope="module")
def thumbnailer() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DESKTOP / "hdcodec.thumbnailer")
    return parser["Thumbnailer Entry"]


@pytest.mark.parametrize("name", ["out.png", ".thumbnail.A1B2C3"])
def test_the_thumbnailer_writes_a_png(
    thumbnailer: configparser.SectionProxy,
    file: Path,
    path_with_hdc: str,
    tmp_path: Path,
    name: str,
) -> None:
    (tmp_path / name).touch()  # a caller makes its temporary file itself
    codes = {"%i": str(file), "%o": str(tmp_path / name)}
    command = [codes.get(part, part) for part in shlex.split(thumbnailer["Exec"])]
    environment = os.environ | {"PATH": path_with_hdc}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == ("PNG", (72, 48))


def test_the_thumbnailer_is_for_this_type(thumbnailer: configparser.SectionProxy) -> None:
    assert thumbnailer["MimeType"] == f"{MIME};"
    assert thumbnailer["TryExec"] == shlex.split(thumbnailer["Exec"])[0] == "hdc"


# Completion


def hdc(path: str, **environment: str) -> str:
    done = subprocess.run(
        ["hdc"], capture_output=True, text=True, env=os.environ | {"PATH": path} | environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def scripts(path_with_hdc: str) -> Iterator[dict[str, str]]:
    yield {name: hdc(path_with_hdc, _HDC_COMPLETE=f"{name}_source") for name in SHELLS}


def test_every_shell_gets_a_script_it_understands(scripts: dict[str, str], tmp_path: Path) -> None:
    for shell, script in scripts.items():
        assert f"_HDC_COMPLETE={shell}_complete" in script
        (tmp_path / "script").write_text(script)
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


COMPLETIONS = pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hdc com", {"compress", "compare"}),
        ("hdc batch d", {"decompress"}),
        ("hdc compress --qui", {"--quiet"}),
        ("hdc info --js", {"--json"}),
        ("hdc compress --device c", {"cpu", "cuda"}),
    ],
)


@COMPLETIONS
@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes(
    scripts: dict[str, str], path_with_hdc: str, words: str, expected: set[str]
) -> None:
    place = f"COMP_WORDS=({words}) COMP_CWORD={len(words.split()) - 1}"
    text = f"{scripts['bash']}\n{place}; _hdc_completion hdc; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    command, environment = ["bash", "-c", text], os.environ | {"PATH": path_with_hdc}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert set(done.stdout.split()) == expected, done.stderr


@COMPLETIONS
@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
def test_fish_completes(
    scripts: dict[str, str], path_with_hdc: str, words: str, expected: set[str], tmp_path: Path
) -> None:
    (tmp_path / "hdc.fish").write_text(scripts["fish"])
    text = f"source {tmp_path / 'hdc.fish'}; complete --do-complete '{words}'"
    environment = os.environ | {"PATH": path_with_hdc, "HOME": str(tmp_path)}
    command = ["fish", "--no-config", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == expected, done.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh")
def test_zsh_registers_the_completion(
    scripts: dict[str, str], path_with_hdc: str, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text(scripts["zsh"])
    text = f"autoload -Uz compinit; compinit -D; source {tmp_path / 'script'}; print $_comps[hdc]"
    environment = os.environ | {"PATH": path_with_hdc, "HOME": str(tmp_path)}
    command = ["zsh", "-f", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "_hdc_completion"


@pytest.mark.parametrize("words", ["hdc compress ph", "hdc info ph", "hdc compare a.png ph"])
def test_files_are_completed_by_the_shell(path_with_hdc: str, words: str) -> None:
    place = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    assert hdc(path_with_hdc, _HDC_COMPLETE="bash_complete", **place) == "file,ph\n"


def test_completing_imports_nothing_heavy(path_with_hdc: str) -> None:
    code = (
        "import sys, contextlib; from hdcodec.cli import main\n"
        "with contextlib.suppress(SystemExit): main([])\n"
        "print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    place = {"COMP_WORDS": "hdc ", "COMP_CWORD": "1"}
    environment = os.environ | place | {"_HDC_COMPLETE": "bash_complete"}
    out = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert out.splitlines()[-1] == "set()"
    assert "plain,compress" in out
