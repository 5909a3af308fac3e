"""The steps of deploy/compose.yml without containers: its commands, with its variables, against servers on loopback."""

from __future__ import annotations

import re
import secrets
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.deployment import SCRIPTS, inherited, model_on_tcp
from tests.support.redis_servers import RedisServer, redis_server
from tests.support.weaviate_server import WeaviateServer
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

yaml = pytest.importorskip("yaml", reason="SKIPPED LOUDLY: no PyYAML; Compose was not read")
DEPLOY = Path(__file__).parents[2] / "deploy"
OF_THE_PAGE = ("OPENAI_API_KEY", "JWT_SECRET", "VOICE_SIGNING_SECRET", "STATE_PASSWORD", "METRICS_TOKEN")
"""The variables of `.env`, as docs/how-to/compose.md makes it."""


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))


def filled(part: Any, env: dict[str, str]) -> Any:
    """`part` with the variables of `.env` in place of `${…}`, as Compose fills them in."""
    if isinstance(part, dict):
        return {name: filled(each, env) for name, each in part.items()}
    if isinstance(part, list):
        return [filled(each, env) for each in part]
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: env.get(found[1], ""), str(part))


@pytest.fixture
def env() -> dict[str, str]:
    return {name: secrets.token_hex(32) for name in OF_THE_PAGE}


@pytest.fixture
def redis(env: dict[str, str]) -> Iterator[RedisServer]:
    """As Compose starts it."""
    command = filled(compose()["services"]["redis"]["command"], env)
    assert command[:3] == ["redis-server", "--requirepass", env["STATE_PASSWORD"]]
    with redis_server(*command[3:], password=env["STATE_PASSWORD"]) as server:
        yield server


async def run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    """What a command of the image prints; it must succeed."""
    done = await trio.run_process(
        [str(SCRIPTS / command[0]), *command[1:]],
        env=inherited("PATH", "PYTHONPATH") | {"HOME": str(folder)} | environ,
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


async def test_the_documents_are_imported_and_a_gateway_finds_all_its_parts_F54(
    env: dict[str, str], redis: RedisServer, tmp_path: Path
) -> None:
    service = filled(compose()["services"]["documents"], env)
    environ = service["environment"]
    (tmp_path / "brooder.md").write_text("# Brooder\n\n34 degrees in the first week.\n")
    mounted = service["volumes"][0].split(":")[-2]
    command = [str(tmp_path) if part == mounted else part for part in service["command"]]
    assert str(tmp_path) in command
    assert environ["WEAVIATE_URL"] == "http://weaviate:8080"
    with trio.fail_after(50), ExitStack() as stack:
        weaviate = stack.enter_context(WeaviateServer())
        weaviate.schemas.clear()  # a new Weaviate has no collection
        environ |= {
            "WEAVIATE_URL": weaviate.url,
            "REDIS_URL": environ["REDIS_URL"].replace("redis:6379", redis.address),
        }
        await run(command, tmp_path, environ)
        assert weaviate.schemas["Document"]["vectorizer"] == "none"
        assert [each["content"] for each in weaviate.objects.values()] == ["34 degrees in the first week."]
        async with model_on_tcp() as (_, url):
            told = await run(["voice-trio", "check"], tmp_path, environ | {"OPENAI_REALTIME_URL": url})
    for part in ("settings", "tokens", "upstream", "knowledge", "redis"):
        assert re.search(rf"ok +{part}", told), told


def test_a_gateway_gets_every_variable_of_env_and_warns_of_none_F54(env: dict[str, str]) -> None:
    gateway = compose()["x-gateway"]
    assert gateway["env_file"] == ".env"
    settings = load_settings(env | filled(gateway["environment"], env))
    assert settings.warnings == ()
    assert settings.retrieval.alpha == 0  # the Weaviate beside it makes no vectors


def test_each_service_waits_for_what_it_needs_F54() -> None:
    services = compose()["services"]
    for name in ("gateway-1", "gateway-2", "documents"):
        for needed, how in services[name]["depends_on"].items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in services[needed]
    assert services["documents"]["restart"] == "no"


def test_prometheus_of_compose_finds_the_gateways_the_alerts_and_the_token_F54() -> None:
    whole = compose()
    prometheus = whole["services"]["prometheus"]
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    (job,) = scrape["scrape_configs"]
    targets = {target.partition(":")[0] for target in job["static_configs"][0]["targets"]}
    assert targets == {name for name in whole["services"] if name.startswith("gateway-")}
    (secret,) = prometheus["secrets"]
    mounts = dict(volume.split(":")[:2] for volume in prometheus["volumes"])
    folder = str(Path(mounts["./prometheus.yml"]).parent)
    assert secret["target"] == f"{folder}/{job['authorization']['credentials_file']}"
    assert mounts["./alerts.yml"] == f"{folder}/{scrape['rule_files'][0]}"
    assert whole["secrets"][secret["source"]] == {"environment": "METRICS_TOKEN"}


def test_the_image_listens_where_the_platform_says_F53() -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text("utf-8")
    assert 'CMD ["voice-trio", "serve"]' in dockerfile
    assert "PORT=8000" in dockerfile
    assert "os.environ['PORT']" in dockerfile
