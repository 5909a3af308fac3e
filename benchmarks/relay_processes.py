"""The processes of the relay benchmark: a relay on one core, both of its ends on another.

Knows neither what is measured nor what the figures are compared with.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import venv
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.load_processes import GATEWAY_CORE, OTHER_CORE, START_SECONDS_MAX, fill_knowledge
from benchmarks.support import ROOT, gateway_environment, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOOPBACK = "localhost"
LINE_BYTES_MAX = 64 * 1024 * 1024
SERVE = "from voice_trio.cli import main; main()"
REQUIREMENTS = (
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
    "websockets==17.4",
    "hypercorn==0.18.0",
    "quart==0.22.0",
    "quart-trio==0.12.0",
    "trio-websocket==0.12.2",
    "trio==0.35.0",
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A relay to measure: a protocol of the gateway, perhaps of another checkout, or a relay of `relay_peers`."""

    name: str
    root: Path = ROOT

    @property
    def is_gateway(self) -> bool:
        return self.name in ("voice", "openai")

    def __str__(self) -> str:
        return self.name if self.root == ROOT else f"{self.name}@{self.root.name}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where processes run: a folder for their files, the peers' Python, whether they take cores for themselves."""

    folder: Path
    peer_python: str
    nice: bool = False

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"


class Ends:
    """The process that is both the upstream and the callers; each of its lines is a JSON object."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""

    async def order(self, order: object) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps(order).encode() + b"\n")

    async def stop(self) -> None:
        """Close all connections at once: a gateway that is asked to end would first let responses finish."""
        self._process.terminate()
        await self._process.wait()

    async def report(self) -> dict[str, Any]:
        """The next report; raises `RuntimeError` if the process has ended."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            data = await self._process.stdout.receive_some(LINE_BYTES_MAX)
            if not data:
                raise RuntimeError("the callers' process has ended; its error is above")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        report: dict[str, Any] = json.loads(line)
        return report


@asynccontextmanager
async def ends_process(place: Place, *, is_tls: bool) -> AsyncIterator[tuple[Ends, str]]:
    """The two ends, and the upstream's URL."""
    command = [place.peer_python, "-m", "benchmarks.relay_ends"]
    if is_tls:
        command += ["--certificate", str(place.certificate), "--key", str(place.key)]
    pipe = subprocess.PIPE
    async with running(command, stdin=pipe, stdout=pipe) as process:
        take_core(process, OTHER_CORE, place)
        ends = Ends(process)
        with trio.fail_after(START_SECONDS_MAX):
            started = await ends.report()
        scheme = "wss" if is_tls else "ws"
        yield ends, f"{scheme}://{LOOPBACK}:{started['port']}/v1/realtime"


@asynccontextmanager
async def relay_process(place: Place, peer: Peer, upstream_url: str) -> AsyncIterator[tuple[trio.Process, int, str]]:
    """A relay, its port, and the versions it consists of."""
    variables = {"SSL_CERT_FILE": str(place.certificate)}
    if peer.is_gateway:
        knowledge = place.folder / "knowledge.sqlite3"
        if not knowledge.exists():
            fill_knowledge(knowledge)
        allowed = {"MAX_LOOP_LAG_MS": "0", "MAX_CONCURRENT_SESSIONS": "1000", "MAX_SESSIONS_PER_USER_PER_HOUR": "1000"}
        paths = {"PYTHONPATH": str(peer.root), "PYTHONSAFEPATH": "1"}
        environ = gateway_environment(upstream_url, knowledge, **allowed, **paths, **variables)
        command = [sys.executable, "-c", SERVE, "serve", "--bind", "127.0.0.1:0"]
    else:
        environ = {"PATH": os.environ["PATH"], **variables}
        python = sys.executable if peer.name == "splice" else place.peer_python
        command = [python, "-m", "benchmarks.relay_peers", peer.name, upstream_url]
    log_path = place.folder / f"{peer}.log"
    with log_path.open("w") as log:
        async with running(command, env=environ, stdout=log, stderr=subprocess.STDOUT) as process:
            take_core(process, GATEWAY_CORE, place)
            port, versions = await wait_serving(process, log_path)
            yield process, port, versions


def take_core(process: trio.Process, core: int, place: Place) -> None:
    """Keep a process that has just begun on one core, before all other work of the machine where that is allowed."""
    if place.nice:
        return
    os.sched_setaffinity(process.pid, {core})
    with suppress(PermissionError):
        os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))


async def wait_serving(process: trio.Process, log_path: Path) -> tuple[int, str]:
    """The port and the versions in a relay's log."""
    with trio.fail_after(START_SECONDS_MAX):
        while (serving := serving_line(log_path)) is None and process.poll() is None:  # noqa: ASYNC110  # in another process: one can only look
            await trio.sleep(0.05)
    if serving is None:
        raise RuntimeError(f"a relay did not start; the end of its log:\n{tail(log_path)}")
    return serving["port"], ", ".join(f"{name} {version}" for name, version in serving.get("versions", {}).items())


def serving_line(log_path: Path) -> dict[str, Any] | None:
    """The first line of a relay's log that names its port."""
    found = re.search(r'^\{.*"port": \d+.*\}$', log_path.read_text("utf-8", "replace"), re.MULTILINE)
    return None if found is None else json.loads(found[0])


def tail(log_path: Path) -> str:
    """The end of a log."""
    return log_path.read_text("utf-8", "replace")[-2000:]


def peer_python(folder: Path) -> str:
    """The Python of a virtual environment with the peers' packages; it is made if it is not there, or has others."""
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS) + "\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the peers into {folder} (once, about a minute)", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return str(python)


def write_certificate(place: Place) -> None:
    """A self-signed certificate for the upstream, valid for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, LOOPBACK)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(LOOPBACK)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, encoding = serialization.NoEncryption(), serialization.Encoding.PEM
    place.certificate.write_bytes(certificate.public_bytes(encoding))
    place.key.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, pem))
