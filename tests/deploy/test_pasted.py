"""The blocks of README and of the how-to pages, pasted into a fresh shell.

Each test has a checkout of its own (links to this one), a new home, and no variable of this process but PATH. Shims
stand in for what would install packages: `-m slow` installs for real. A key in the text is replaced by one of a test,
and the upstream is the scripted model.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest
import trio

from tests.support.deployment import SCRIPTS, free_port, gateway, http, inherited, model_on_tcp
from tests.support.pages import shell_blocks
from tests.support.weaviate_server import WeaviateServer
from voice_trio.cli import COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "```sh\n" in path.read_text("utf-8")
]
KEY = "sk-of-the-test"


def blocks(page: Path) -> list[str]:
    """Its blocks of shell commands, in order, their placeholders of a key replaced."""
    return [text.replace("sk-…", KEY) for text in shell_blocks(page.read_text("utf-8"))]


def block_with(page: str, words: str) -> str:
    (found,) = [text for text in blocks(ROOT / page) if words in text]
    return found


def executable(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Shell:
    """A checkout with an installed `.venv`, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.home = folder / "home"
        self.folder.mkdir()
        self.home.mkdir()
        for path in ROOT.iterdir():
            if path.name not in {".venv", ".git", ".env", "deploy"}:
                (self.folder / path.name).symlink_to(path)
        subprocess.run(["cp", "-r", str(ROOT / "deploy"), str(self.folder)], check=True)
        self._install()
        self.environ = {
            "PATH": f"{self.folder / 'shims'}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(Path(platformdirs.user_cache_dir("voice-trio")).parent),  # the adapted recogniser
        } | inherited("PYTHONPATH")

    def _install(self) -> None:
        """What `pip install` would have made, and shims that note what they were asked for."""
        venv, shims = self.folder / ".venv", self.folder / "shims"
        (venv / "bin").mkdir(parents=True)
        shims.mkdir()
        for path in SCRIPTS.iterdir():
            if not path.name.startswith(("pip", "activate", "python3")):
                (venv / "bin" / path.name).symlink_to(path.resolve() if path.name == "python" else path)
        (venv / "lib").symlink_to(Path(sys.prefix) / "lib")
        (venv / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text("utf-8"))
        (venv / "bin" / "activate").write_text(f"export PATH={venv / 'bin'}:$PATH\n")
        executable(venv / "bin" / "pip", f'#!/bin/sh\necho "pip $*" >> {self.folder}/installed\n')
        no_venv = f'[ "$1 $2" = "-m venv" ] && echo "venv $3" >> {self.folder}/installed && exit 0'
        executable(shims / "python3", f'#!/bin/sh\n{no_venv}\nexec {sys.executable} "$@"\n')
        made_from = '"local $(cat pyproject.toml constraints.txt | cksum) $PWD"'
        subprocess.run(["bash", "-c", f"printf %s {made_from} > .venv/.made-from"], cwd=self.folder, check=True)

    @property
    def installed(self) -> list[str]:
        return (self.folder / "installed").read_text("utf-8").splitlines()

    def run(self, text: str, **environ: str) -> str:
        """What a shell prints that `text` is pasted into; it must succeed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    @asynccontextmanager
    async def started(self, text: str, said: str, **environ: str) -> AsyncIterator[re.Match[str]]:
        """`text` while it runs, once it has printed something that matches `said`; Ctrl-C ends it in order."""
        log = self.folder / "printed"
        with log.open("wb") as out:
            process = await trio.lowlevel.open_process(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=self.folder,
                env=self.environ | environ,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that the signal reaches all that it started
            )
        try:
            while not (found := re.search(said, log.read_text("utf-8"), re.DOTALL)):
                assert process.poll() is None, log.read_text("utf-8")
                await trio.sleep(0.05)
            yield found
            os.killpg(process.pid, signal.SIGINT)
            await process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            with trio.CancelScope(shield=True):
                await process.wait()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_the_demo_starts_when_pasted_F52(shell: Shell) -> None:
    port = free_port()
    with trio.fail_after(55):
        async with shell.started(blocks(ROOT / "README.md")[0], r"#token=\S+", BIND=f"127.0.0.1:{port}"):
            assert b"<html" in (await http(port, "/")).body
            assert (await http(port, "/v1/voice/health")).json["status"] == "healthy"


async def test_a_key_is_used_and_its_price_said_when_pasted_F51_F52(shell: Shell) -> None:
    port = free_port()
    text = block_with("README.md", f"export OPENAI_API_KEY={KEY}\nscripts/run")
    said = r"answers, with your OPENAI_API_KEY: (about 0\.\d\d USD).*#token="
    with trio.fail_after(55):
        async with shell.started(text, said, BIND=f"127.0.0.1:{port}") as found:
            assert found[1] in (ROOT / "README.md").read_text("utf-8")
            assert (await http(port, "/livez")).status == 200


async def test_a_service_is_installed_filled_checked_and_served_when_pasted_F52(shell: Shell) -> None:
    text = block_with("README.md", "voice-trio serve").replace("import docs", "import docs/how-to")  # it takes its time
    port = free_port()
    with trio.fail_after(55):
        async with model_on_tcp() as (_, url):
            environ = {"OPENAI_REALTIME_URL": url, "BIND": f"127.0.0.1:{port}", "LOG_FORMAT": "json"}
            said = r'#token=(\S+).*"event": "pages"'
            async with shell.started(text, said, **environ) as found:
                assert b"<html" in (await http(port, "/")).body
                stats = await http(port, "/v1/voice/stats", {"Authorization": f"Bearer {found[1]}"})
                assert stats.status == 200
    assert shell.installed == ["venv .venv", "pip install -c constraints.txt -e ."]


def test_documents_for_app_platform_are_imported_when_pasted_F53(shell: Shell) -> None:
    page = "docs/how-to/app-platform.md"
    shell.run(f". .venv/bin/activate; {block_with(page, 'pip install')}")
    with WeaviateServer() as weaviate:
        weaviate.schemas.clear()
        values = block_with(page, "export VOICE_TRIO_REPOSITORY").replace("https://….weaviate.cloud", weaviate.url)
        values = values.replace("API_KEY=…", "API_KEY=k")
        secrets = block_with(page, "VOICE_SIGNING_SECRET METRICS_TOKEN; do export")
        importing = block_with(page, "knowledge import").replace("import docs", "import docs/how-to")
        spec = block_with(page, "envsubst").splitlines()[0]
        shell.run("\n".join([values, secrets, importing, spec]))
        assert len(weaviate.objects) > 20
    app = (shell.folder / "app.yaml").read_text("utf-8")
    left = set(re.findall(r"\$\{[^}]+\}", "\n".join(line for line in app.splitlines() if not line.startswith("#"))))
    assert left == {"${valkey.DATABASE_URL}", "${APP_URL}"}
    kept = shell.folder / "voice-trio.secrets"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "JWT_SECRET=" in shell.run(". ./voice-trio.secrets; env")


@pytest.mark.skipif(not shutil.which("promtool"), reason="SKIPPED LOUDLY: no promtool here (Debian: prometheus)")
async def test_prometheus_is_configured_when_pasted_F54(shell: Shell, tmp_path: Path) -> None:
    page = "docs/how-to/monitoring.md"
    making = block_with(page, "METRICS_TOKEN=$(openssl")
    shell.run(making)
    token = (shell.folder / "deploy" / "metrics-token").read_text("utf-8")
    with trio.fail_after(30):
        async with gateway(tmp_path, METRICS_TOKEN=token) as deployment:
            asking = block_with(page, "grep voice_trio_places").replace(":8000", f":{deployment.port}")
            assert "voice_trio_places 120.0" in await trio.to_thread.run_sync(
                lambda: shell.run(asking, METRICS_TOKEN=token)
            )
    *configuring, _starting = block_with(page, "promtool check config").splitlines()
    told = shell.run("\n".join(configuring))
    assert "prometheus.yml is valid" in told
    assert '["127.0.0.1:8000"]' in (shell.folder / "deploy" / "prometheus.yml").read_text("utf-8")


def test_the_files_for_nginx_and_compose_are_made_when_pasted_F54(shell: Shell) -> None:
    nginx = block_with("docs/how-to/nginx.md", "/etc/voice-trio/env\n  for name").replace("/etc/voice-trio", "etc")
    nginx = nginx.replace("-o root -g voice-trio ", "").replace("editor ", "true ")
    assert "0750" in nginx
    shell.run(nginx)
    environ = dict(re.findall(r"^([A-Z_]+)=(.+)$", (shell.folder / "etc" / "env").read_text("utf-8"), re.MULTILINE))
    assert environ.keys() >= {"JWT_SECRET", "VOICE_SIGNING_SECRET", "METRICS_TOKEN", "REDIS_URL"}
    assert environ["TRUSTED_PROXY_HOPS"] == "1"
    proxy = block_with("docs/how-to/nginx.md", "deploy/nginx.conf >").splitlines()
    (rewrite,) = [line for line in proxy if line.startswith("sed")]
    made = shell.run(rewrite.partition(" > ")[0])
    assert "server 127.0.0.1:8001" in made
    assert "gateway-" not in "\n".join(line for line in made.splitlines() if "#" not in line)
    shell.run(block_with("docs/how-to/compose.md", "mkdir -p tls"))
    names = re.findall(r"^([A-Z_]+)=", (shell.folder / "deploy" / ".env").read_text("utf-8"), re.MULTILINE)
    needed = re.findall(r"\$\{([A-Z_]+):\?\}", (ROOT / "deploy" / "compose.yml").read_text("utf-8"))
    assert set(names) >= set(needed)
    assert (shell.folder / "deploy" / "tls" / "tls.crt").exists()
    assert (shell.folder / "deploy" / "documents" / "protocol.md").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_a_script_of_commands_that_exist_F52(page: Path) -> None:
    for text in blocks(page):
        checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{text}\n{checked.stderr}"
        used = set(re.findall(r"(?:^|[\s(/])voice-trio ([a-z][a-z-]+)", text, re.MULTILINE))
        unknown = used - {*COMMANDS, "voice-trio"}  # which is a user's name, too
        assert not unknown


@pytest.mark.parametrize(
    ("page", "success", "words_max"),
    [
        ("README.md", "prints and talk", 250),
        ("README.md", f"OPENAI_API_KEY={KEY}\nscripts/run\n```", 300),
        ("docs/how-to/app-platform.md", "something\nthat your documents answer", 1500),
    ],
    ids=["demo", "own key", "App Platform"],
)
def test_a_reader_has_few_words_to_read_before_it_works(page: str, success: str, words_max: int) -> None:
    before, found, _ = (ROOT / page).read_text("utf-8").replace("sk-…", KEY).partition(success)
    assert found
    assert len(before.split()) + len(found.split()) <= words_max


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_installation_of_readme_works_in_an_empty_environment_F52(tmp_path: Path) -> None:
    lines = block_with("README.md", "voice-trio serve").splitlines()[:2]
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".git", ".env"}:
            subprocess.run(["cp", "-r", str(path), str(tmp_path)], check=True)
    environ = {"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}
    script = "\n".join([*lines, "voice-trio --version", "python -m voice_trio --help"])
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "voice-trio, version" in told.stdout
