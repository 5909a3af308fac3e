"""The steps of deploy/compose.yml without containers: its commands, with its variables, against servers on loopback."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment import SCRIPTS
from tests.support.weaviate_server import WeaviateServer
from voice_trio.settings import load_settings

yaml = pytest.importorskip("yaml", reason="SKIPPED LOUDLY: no PyYAML; Compose was not read")
DEPLOY = Path(__file__).parents[2] / "deploy"


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))


def test_the_documents_are_imported_before_the_first_question_F54(tmp_path: Path) -> None:
    service = compose()["services"]["documents"]
    (tmp_path / "brooder.md").write_text("# Brooder\n\n34 degrees in the first week.\n")
    mounted = service["volumes"][0].split(":")[-2]
    command = [str(tmp_path) if part == mounted else part for part in service["command"]]
    assert str(tmp_path) in command
    with WeaviateServer() as weaviate:
        weaviate.schemas.clear()  # a new Weaviate has no collection
        environ = {name: str(text) for name, text in service["environment"].items() if "$" not in str(text)}
        assert environ["WEAVIATE_URL"] == "http://weaviate:8080"
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        given = {"JWT_SECRET": secrets.token_hex(32), "WEAVIATE_URL": weaviate.url}
        done = subprocess.run(
            [str(SCRIPTS / command[0]), *command[1:]],
            env=inherited | {"HOME": str(tmp_path)} | environ | given,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert weaviate.schemas["Document"]["vectorizer"] == "none"
        assert [each["content"] for each in weaviate.objects.values()] == ["34 degrees in the first week."]


def test_a_gateway_gets_every_variable_of_env_and_warns_of_none_F54() -> None:
    gateway = compose()["x-gateway"]
    assert gateway["env_file"] == ".env"
    of_the_page = {"OPENAI_API_KEY", "JWT_SECRET", "VOICE_SIGNING_SECRET", "STATE_PASSWORD", "METRICS_TOKEN"}
    given = {name: secrets.token_hex(32) for name in of_the_page}
    filled = {
        name: re.sub(r"\$\{(\w+)[^}]*\}", lambda found: given[found[1]], text)
        for name, text in gateway["environment"].items()
    }
    settings = load_settings(given | filled)
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
