"""The JavaScript examples, installed from the packed client, built, and served from their own origins."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.browser_driver import running_process
from tests.support.deployment import SECRET, free_port, token
from tests.support.http_receiver import listening
from tests.support.node import installed, node, node_environ, npm

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
EXAMPLES = ROOT / "examples"
BUILD_SECONDS_MAX = 90
# The newest when this was written; an example's own package.json takes later ones too.
VERSIONS = {
    "@types/node": "24.0.0",
    "@types/react": "19.3.3",
    "@vitejs/plugin-react": "6.3.0",
    "jose": "6.2.18",
    "next": "16.4.6",
    "typescript": "7.0.2",
    "vite": "8.4.0",
}
REACT = {"18": "18.3.1", "19": "19.3.1"}
NOT_TESTED = "the packed client was not tested in a bundler"


def pack_client(folder: Path) -> Path:
    """The client as `npm pack` makes it."""
    command = npm("pack", str(CLIENT), "--json", "--loglevel=error", f"--pack-destination={folder}")
    done = subprocess.run(command, cwd=folder, env=node_environ(), capture_output=True, text=True, check=True)
    return folder / str(json.loads(done.stdout)[0]["filename"])


class Project:
    """A copy of an example with the packages of its package.json, React in version `react`, and the packed client.

    Its folder keeps the packages from one run to the next. `client` None leaves the packed client out.
    """

    def __init__(self, cache: Path, example: str, react: str, client: Path | None) -> None:
        self._source = EXAMPLES / example
        package: dict[str, Any] = json.loads((self._source / "package.json").read_text())
        wanted = [*package["dependencies"], *package.get("devDependencies", {})]
        wanted.remove("voice-trio")
        versions = {name: REACT[react] if name in {"react", "react-dom"} else VERSIONS[name] for name in wanted}
        kept = {"name": example, "private": True, "type": "module", "scripts": package["scripts"]}
        self.folder = installed(cache, kept | {"dependencies": versions}, NOT_TESTED)
        self._copy_sources()
        if client is None:
            shutil.rmtree(self.folder / "node_modules" / "voice-trio", ignore_errors=True)
            (self.folder / "client").unlink(missing_ok=True)
        else:
            self._install_client(client)

    def _copy_sources(self) -> None:
        for old in self.folder.iterdir():
            if old.name in {"node_modules", "package.json", ".next", "built-from", "client"}:
                continue
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        ignored = shutil.ignore_patterns("node_modules", "package*.json", ".next", "dist", ".env*")
        shutil.copytree(self._source, self.folder, ignore=ignored, dirs_exist_ok=True)

    def _install_client(self, client: Path) -> None:
        kept = self.folder / "client"
        if kept.exists() and kept.read_bytes() == client.read_bytes():
            return
        quiet = ("--no-save", "--no-package-lock", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
        self.run(npm("install", *quiet, str(client)))
        shutil.copy(client, kept)

    def copy_client_files(self, folder: str) -> None:
        """Copy the client's files into the project and import them from there, as a user without the package does."""
        shutil.copytree(CLIENT / "src", self.folder / folder / "voice-trio")
        for source in (each for each in (self.folder / folder).iterdir() if each.is_file()):
            text = source.read_text("utf-8")
            text = text.replace('"voice-trio/react"', '"./voice-trio/react.js"')
            source.write_text(text.replace('"voice-trio"', '"./voice-trio/voice.js"'), "utf-8")

    def build(self, *arguments: str, **variables: str) -> None:
        """Build for production, unless the last build was of the same files with the same arguments."""
        built_from = self.folder / "built-from"
        wanted = f"{self._fingerprint()} {arguments} {variables}"
        if built_from.exists() and built_from.read_text() == wanted:
            return
        built_from.unlink(missing_ok=True)
        self.run(npm("run", "build", "--", *arguments), **variables)
        built_from.write_text(wanted)

    def run(self, command: list[str], **variables: str) -> None:
        environ = node_environ() | {"NEXT_TELEMETRY_DISABLED": "1"} | variables
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in sorted(self.folder.rglob("*")):
            parts = file.relative_to(self.folder).parts
            if parts[0] not in {"node_modules", ".next", "dist", "built-from", "next-env.d.ts"} and file.is_file():
                digest.update(str(parts).encode() + file.read_bytes())
        return digest.hexdigest()


@contextmanager
def served_by_next(project: Project, gateway_port: int, *command: str) -> Iterator[str]:
    """The origin of `next start`, or of `next` with another `command`; its route handler signs the tokens."""
    port = free_port()
    script = project.folder / "node_modules" / "next" / "dist" / "bin" / "next"
    start = node(str(script), *(command or ("start",)), str(project.folder), "-H", "127.0.0.1", "-p", str(port))
    variables = {
        "PATH": node_environ()["PATH"],
        "VOICE_URL": gateway_url(gateway_port),
        "JWT_SECRET": SECRET,
        "DEVELOPMENT_USER": "ada",
        "NEXT_TELEMETRY_DISABLED": "1",
    }
    with running_process(start, variables, "Ready in"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def served_by_vite(project: Project, gateway_port: int) -> Iterator[str]:
    """The origin of Vite's development server."""
    port = free_port()
    script = project.folder / "node_modules" / "vite" / "bin" / "vite.js"
    start = node(str(script), str(project.folder), "--host=127.0.0.1", f"--port={port}", "--strictPort")
    variables = {"VITE_VOICE_URL": gateway_url(gateway_port), "VITE_VOICE_TOKEN": token(), "NO_COLOR": "1"}
    with running_process(start, variables, "ready in"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def served_as_files(folder: Path) -> Iterator[str]:
    """The origin of a server of built files that also answers `/api/voice-token`, as a user's own server does."""
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), partial(_OwnServer, directory=str(folder)))) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def gateway_url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/v1/ws/voice"


class _OwnServer(SimpleHTTPRequestHandler):
    def do_POST(self) -> None:
        body = token().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        # As strict as a page's policy can be: worklets that were written into the page as data: URLs would not load.
        policy = (
            "default-src 'self'; connect-src 'self' ws://127.0.0.1:*; img-src data:; style-src 'self' 'unsafe-inline'"
        )
        self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass
