"""The browser client as a package (F28): its files, how bundlers find them, and one version with the gateway."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundled_examples import CLIENT, pack_client
from tests.support.node import node
from voice_trio.web.files import CLIENT_FILES

ROOT = Path(__file__).parents[2]
SOURCES = sorted((CLIENT / "src").glob("*.js"))
VITE_INLINES_BYTES = 4096  # the default of build.assetsInlineLimit
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGE: dict[str, Any] = json.loads((CLIENT / "package.json").read_text("utf-8"))


def test_the_package_has_the_version_of_the_gateway_F28() -> None:
    assert PACKAGE["version"] == PYPROJECT["project"]["version"]


def test_the_packed_files_are_those_that_the_gateway_serves_F28(tmp_path: Path) -> None:
    with tarfile.open(pack_client(tmp_path)) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
        for name in CLIENT_FILES:
            file = packed.extractfile(f"package/src/{name}")
            assert file
            assert file.read() == (ROOT / "voice_trio" / "web" / "client" / name).read_bytes()
    assert names == {f"src/{name}" for name in CLIENT_FILES} | {"package.json", "README.md", "LICENSE"}


def test_every_export_is_a_file_with_its_types_beside_it_F28() -> None:
    targets = [target for export in PACKAGE["exports"].values() for target in paths(export)]
    assert targets
    assert [target for target in targets if not (CLIENT / target).is_file()] == []
    for name in (".", "./react"):
        export = PACKAGE["exports"][name]
        assert next(iter(export)) == "types", "a condition after the one that matches is never read"
        assert export["types"] == export["default"].removesuffix(".js") + ".d.ts"


def paths(export: str | dict[str, str]) -> list[str]:
    return [export] if isinstance(export, str) else list(export.values())


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.name))
def test_bundlers_find_every_file_that_a_module_names_F28(source: Path) -> None:
    """They resolve a literal beside `import.meta.url`: it must name a file, and no import may be an address."""
    text = source.read_text("utf-8")
    for literal in re.findall(r"new URL\(\s*[\"'`]([^\"'`]*)[\"'`],\s*import\.meta\.url", text):
        assert literal.startswith("./"), f"{literal} is not a file of the package"
        assert (source.parent / literal).is_file()
    for imported in re.findall(r"^(?:import|export) [^;]*?from \"([^\"]+)\"", text, re.MULTILINE):
        assert imported == "react" or (source.parent / imported).is_file(), imported


@pytest.mark.parametrize("worklet", ["voice-playback.js", "voice-capture.js"])
def test_a_worklet_is_copied_as_a_file_of_its_own_F28(worklet: str) -> None:
    literal = f'new URL("./{worklet}", import.meta.url)'
    assert [literal in source.read_text("utf-8") for source in SOURCES].count(True) == 1
    content = (CLIENT / "src" / worklet).read_text("utf-8")
    assert not re.search(r"^import |^export .* from ", content, re.MULTILINE), "it is copied without what it imports"
    assert len(content.encode()) > VITE_INLINES_BYTES, "Vite would write it into the page as a data: URL"


def test_the_hook_is_a_client_component_F28() -> None:
    """The first statement of the module; only comments may precede it."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", (CLIENT / "src" / "react.js").read_text("utf-8"), flags=re.DOTALL)
    assert text.lstrip().startswith('"use client";')


@pytest.mark.parametrize("entry", ["voice.js", "voice-capture.js", "voice-playback.js"])
def test_a_server_that_renders_pages_can_import_it_F28(entry: str) -> None:
    """Node has no AudioContext, no AudioWorkletNode, no location."""
    address = json.dumps((CLIENT / "src" / entry).as_uri())
    script = f"const made = await import({address}); new (made.VoiceClient ?? Object)()"
    done = subprocess.run(node("--input-type=module", "-e", script), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_wheel_and_sdist_take_their_files_from_the_package_F28() -> None:
    targets = PYPROJECT["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["force-include"] == {"clients/js/src": "voice_trio/web/client"}
    for target in targets.values():
        assert "/voice_trio/web/client" in target["exclude"], "hatchling refuses to add a file twice"
    assert (ROOT / "voice_trio" / "web" / "client").resolve() == CLIENT / "src"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_built_wheel_has_the_same_bytes_and_no_archive_has_what_npm_and_bundlers_left_F28(tmp_path: Path) -> None:
    checkout = copy_tracked_files(tmp_path)
    for left in (
        "clients/js/node_modules",
        "examples/next/node_modules",
        "examples/next/.next",
        "examples/vite-react/dist",
    ):
        (checkout / left).mkdir()
        (checkout / left / "left.js").write_text("")
    (checkout / "clients" / "js" / "voice-trio-0.1.0.tgz").write_text("")
    for private in ("examples/next/.env.local", "examples/vite-react/.env.local", "voice_trio/key.pem"):
        (checkout / private).write_text("JWT_SECRET=private")
    (checkout / "tests" / "base.sqlite3").write_text("")
    tools = build_tools(tmp_path / "tools")
    wheel, sdist = (build(kind, checkout, tools) for kind in ("wheel", "sdist"))
    has_the_same_bytes(wheel)
    assert not any(name.endswith(".pem") for name in zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as sources:
        names = sources.getnames()
        sources.extractall(tmp_path, filter="data")
    assert any(name.endswith("examples/next/app/page.tsx") for name in names)
    assert [name for name in names if name.endswith(("left.js", ".tgz", ".env.local", ".pem", ".sqlite3"))] == []
    has_the_same_bytes(build("wheel", tmp_path / names[0].partition("/")[0], tools))


def has_the_same_bytes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith("voice_trio/web/client/")]
        assert {Path(name).name for name in inside} == set(CLIENT_FILES)
        for name in inside:
            assert archive.read(name) == (CLIENT / "src" / Path(name).name).read_bytes()


def copy_tracked_files(folder: Path) -> Path:
    checkout = folder / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name, follow_symlinks=False)
    return checkout


def build_tools(folder: Path) -> Path:
    """hatchling, in `folder`; skips if it cannot be had."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", f"--target={folder}"]
    if subprocess.run([*install, *PYPROJECT["build-system"]["requires"]], capture_output=True).returncode:
        pytest.skip("SKIPPED LOUDLY: hatchling could not be installed; no wheel was built")
    return folder


def build(kind: str, checkout: Path, tools: Path) -> Path:
    """The `wheel` or the `sdist` of `checkout`."""
    code = f"from hatchling import build; print(build.build_{kind}('.'))"
    environ = os.environ | {"PYTHONPATH": str(tools)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=True)
    return checkout / done.stdout.strip()
