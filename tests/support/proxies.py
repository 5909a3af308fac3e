"""nginx and HAProxy with the configurations of `deploy/`, on free ports, in front of gateways under test."""

from __future__ import annotations

import shutil
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from voice_trio.server.server import Tls

DEPLOY = Path(__file__).parents[2] / "deploy"


@dataclass(frozen=True, slots=True)
class Proxy:
    """Listens with TLS on `port`; `log` is its output so far."""

    port: int
    log_path: Path
    cafile: str

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def trusting(self) -> ssl.SSLContext:
        """For clients: trusts its certificate."""
        return ssl.create_default_context(cafile=self.cafile)

    async def connect(self, source: str = "127.0.0.1") -> trio.SSLStream[trio.SocketStream]:
        """A connection from the address `source`, after its TLS handshake."""
        tcp = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=source)
        stream = trio.SSLStream(tcp, self.trusting, server_hostname="localhost", https_compatible=True)
        await stream.do_handshake()
        return stream


def _nginx(folder: Path, port: int, gateways: Sequence[int], tls: Tls, changes: Mapping[str, str]) -> list[str]:
    (folder / "nginx.conf").write_text(
        _changed(
            (DEPLOY / "nginx.conf").read_text(),
            {
                **changes,
                "worker_processes auto": "daemon off; worker_processes 1",
                "/run/nginx.pid": f"{folder}/nginx.pid",
                "http {": f"http {{ client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; "
                f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;",
                "listen 443": f"listen 127.0.0.1:{port}",
                "/etc/nginx/tls/tls.crt": tls.certfile,
                "/etc/nginx/tls/tls.key": tls.keyfile,
                "gateway-1:8000": f"127.0.0.1:{gateways[0]}",
                "gateway-2:8000": f"127.0.0.1:{gateways[-1]}" if len(gateways) > 1 else "127.0.0.1:9 down",
            },
        )
    )
    return ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def _haproxy(folder: Path, port: int, gateways: Sequence[int], tls: Tls, changes: Mapping[str, str]) -> list[str]:
    pem = folder / "tls.pem"
    pem.write_text(Path(tls.certfile).read_text() + Path(tls.keyfile).read_text())
    (folder / "haproxy.cfg").write_text(
        _changed(
            (DEPLOY / "haproxy.cfg").read_text(),
            {
                **changes,
                "bind :443": f"bind 127.0.0.1:{port}",
                "/etc/haproxy/tls.pem": str(pem),
                "gateway-1 gateway-1:8000": f"gateway-1 127.0.0.1:{gateways[0]}",
                "gateway-2 gateway-2:8000": f"gateway-2 127.0.0.1:{gateways[-1]}"
                if len(gateways) > 1
                else "gateway-2 127.0.0.1:9 disabled",
            },
        )
    )
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


COMMANDS = {"nginx": _nginx, "haproxy": _haproxy}


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} is not in the configuration once"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def proxy(
    name: str, folder: Path, gateways: Sequence[int], tls: Tls, changes: Mapping[str, str] | None = None
) -> AsyncIterator[Proxy]:
    """A proxy that runs during the block, with `changes` to the text of its configuration.

    Skips the test with a loud reason if it is not installed.
    """
    if not shutil.which(name):
        pytest.skip(f"SKIPPED LOUDLY: no {name} on this machine; its configuration was not tested")
    port = free_port()
    command = COMMANDS[name](folder, port, gateways, tls, changes or {})
    log_path = folder / f"{name}.log"
    with log_path.open("wb") as log:
        process = await trio.lowlevel.open_process(command, stdout=log, stderr=log, start_new_session=True)
        try:
            await _wait_until_listening(port, process, log_path)
            yield Proxy(port, log_path, tls.certfile)
        finally:
            process.terminate()
            with trio.move_on_after(5, shield=True) as terminating:
                await process.wait()
            if terminating.cancelled_caught:
                process.kill()


async def _wait_until_listening(port: int, process: trio.Process, log_path: Path) -> None:
    with trio.fail_after(10):
        while True:
            assert process.poll() is None, await trio.Path(log_path).read_text()
            try:
                await trio.aclose_forcefully(await trio.open_tcp_stream("127.0.0.1", port))
            except OSError:
                await trio.sleep(0.02)
            else:
                return
