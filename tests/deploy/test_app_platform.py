"""The app spec for DigitalOcean App Platform: fields that its API has, and values that the gateway can use.

The schema has the fields of the API's own description (github.com/digitalocean/openapi, read in December 2026) that the
spec uses. No app was created.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from voice_trio import limits
from voice_trio.admission.client_address import TrustedProxies
from voice_trio.settings import all_variables, load_settings

yaml = pytest.importorskip("yaml", reason="SKIPPED LOUDLY: no PyYAML; the app spec was not read")
ROOT = Path(__file__).parents[2]
SECRET = "c1d5" * 16 + "77aa"
FILLED_IN = {
    "VOICE_TRIO_REPOSITORY": "acme/voice_trio",
    "OPENAI_API_KEY": "sk-example-of-a-key",
    "JWT_SECRET": "0a5b7c" * 8 + "9d1e2f3a",
    "VOICE_SIGNING_SECRET": "7e6d5c" * 8 + "4b3a2f1e",
    "METRICS_TOKEN": "5f4e3d2c1b0a99887766",
    "WEAVIATE_URL": "https://example.weaviate.cloud",
    "WEAVIATE_API_KEY": "key",
    "RAG_ALPHA": "0",
}
OF_THE_PLATFORM = {
    "valkey.DATABASE_URL": "rediss://default:secret@db.example.com:25061",
    "APP_URL": "https://voice-trio-x.ondigitalocean.app",
}

NAME = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,30}[a-z0-9]$"}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _number(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


HEALTH_CHECK = _closed(
    ["http_path"],
    http_path={"type": "string", "pattern": "^/"},
    initial_delay_seconds=_number(0, 3600),
    period_seconds=_number(1, 300),
    timeout_seconds=_number(1, 120),
    success_threshold=_number(1, 1),
    failure_threshold=_number(1, 50),
)
VARIABLE = _closed(
    ["key", "value"],
    key={"type": "string", "pattern": "^[_A-Za-z][_A-Za-z0-9]*$"},
    value={"type": "string"},
    scope={"enum": ["RUN_TIME", "BUILD_TIME", "RUN_AND_BUILD_TIME"]},
    type={"enum": ["GENERAL", "SECRET"]},
)
SERVICE = _closed(
    ["name"],
    name=NAME,
    github=_closed(
        ["repo", "branch"], repo={"type": "string"}, branch={"type": "string"}, deploy_on_push={"type": "boolean"}
    ),
    dockerfile_path={"type": "string"},
    source_dir={"type": "string"},
    http_port=_number(1, 65535),
    instance_count=_number(1, 250),
    instance_size_slug={"type": "string", "pattern": r"^apps-[sd]-\dvcpu-(0\.5|\d+)gb$"},
    health_check=HEALTH_CHECK,
    liveness_health_check=HEALTH_CHECK,
    termination=_closed([], drain_seconds=_number(1, 110), grace_period_seconds=_number(1, 600)),
    envs={"type": "array", "items": VARIABLE},
)
DATABASE = _closed(
    ["name"],
    name=NAME,
    engine={"enum": ["MYSQL", "PG", "REDIS", "MONGODB", "KAFKA", "OPENSEARCH", "VALKEY"]},
    production={"type": "boolean"},
    cluster_name={"type": "string"},
)
APP_SPEC = _closed(
    ["name"],
    name=NAME,
    region={"enum": ["ams", "nyc", "fra", "sfo", "sgp", "blr", "tor", "lon", "syd"]},
    disable_edge_cache={"type": "boolean"},
    services={"type": "array", "items": SERVICE},
    databases={"type": "array", "items": DATABASE},
    alerts={"type": "array"},
)


def spec(values: dict[str, str] = FILLED_IN | OF_THE_PLATFORM) -> Any:
    text = (ROOT / "deploy" / "app-platform.yaml").read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return yaml.safe_load(re.sub(r"\$\{([\w.]+)\}", lambda found: values.get(found[1], found[0]), text))


def environment() -> dict[str, str]:
    (service,) = spec()["services"]
    return {each["key"]: each["value"] for each in service["envs"]} | {"PORT": str(service["http_port"])}


def test_the_app_spec_has_the_fields_of_app_platform_F53() -> None:
    jsonschema.validate(spec(), APP_SPEC)
    wrong = spec()
    wrong["services"][0]["volumes"] = ["/data"]  # App Platform has none
    with pytest.raises(jsonschema.ValidationError, match="volumes"):
        jsonschema.validate(wrong, APP_SPEC)


def test_a_gateway_starts_with_what_the_app_spec_gives_it_F53() -> None:
    settings = load_settings(environment())
    assert settings.warnings == ()
    assert settings.access.enabled
    assert settings.web.listen_at == "0.0.0.0:8080"
    assert settings.web.allowed_origins == (OF_THE_PLATFORM["APP_URL"],)
    assert settings.shared.redis_url is not None
    assert settings.weaviate.url is not None
    assert settings.signing_secret.get_secret_value() == FILLED_IN["VOICE_SIGNING_SECRET"]
    headers = [(b"x-forwarded-for", b"10.244.3.7"), (b"do-connecting-ip", b"203.0.113.5")]
    assert TrustedProxies.of(settings.web).client_address("100.127.0.1", headers) == "203.0.113.5"


def test_every_secret_of_the_app_spec_is_marked_as_one_F53() -> None:
    secrets = {variable.name for variable in all_variables() if variable.is_secret}
    marked = {each["key"] for each in spec()["services"][0]["envs"] if each.get("type") == "SECRET"}
    assert marked == secrets & set(environment())


def test_app_platform_asks_the_right_addresses_and_waits_for_an_orderly_end_F53() -> None:
    (service,) = spec()["services"]
    assert service["health_check"]["http_path"] == "/readyz"
    assert service["liveness_health_check"]["http_path"] == "/livez"
    assert service["termination"]["grace_period_seconds"] >= limits.CONNECTIONS_DROPPED_SECONDS + 5
    assert service["instance_size_slug"].startswith("apps-d-")
    (database,) = spec()["databases"]
    assert f"${{{database['name']}.DATABASE_URL}}" in str(spec({}))


def test_the_page_fills_in_every_name_of_the_app_spec_F53() -> None:
    page = (ROOT / "docs" / "how-to" / "app-platform.md").read_text("utf-8")
    (names,) = re.findall(r"envsubst '([^']+)'", page)
    assert set(re.findall(r"\$(\w+)", names)) == set(FILLED_IN)
    for name in FILLED_IN:
        assert re.search(rf"^export .*{name}=|^for name in [^;]*{name}", page, re.MULTILINE), name
