"""The deployments of `deploy/`: valid by the schemas of Kubernetes and of Compose, and in agreement with the gateway.

No cluster and no Docker is asked: none was run. tests/deploy/test_alarm.py runs Prometheus.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from scripts.kubernetes_rules import monitoring
from voice_trio import limits
from voice_trio.settings import all_variables

yaml = pytest.importorskip("yaml", reason="SKIPPED LOUDLY: no PyYAML; the manifests were not read")
DEPLOY = Path(__file__).parents[2] / "deploy"
KNOWN = {variable.name for variable in all_variables()}


def documents(name: str = "voice-trio.yaml") -> dict[str, dict[str, Any]]:
    text = (DEPLOY / "kubernetes" / name).read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


KINDS = ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", [*KINDS, "Ingress"])
def test_every_object_is_one_of_kubernetes_F54(kind: str, version: str) -> None:
    found = documents() | documents("ingress.yaml")
    assert set(found) == {*KINDS, "Ingress"}
    kubernetes_validate.validate(found[kind], version, strict=True)


def test_the_schema_of_kubernetes_knows_a_misspelt_field() -> None:
    wrong = documents()["Deployment"]
    wrong["spec"]["template"]["spec"]["terminationGraceSeconds"] = 30
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGraceSeconds"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def compose_schema() -> Any:
    """Of the Compose specification, as check-jsonschema carries it."""
    return json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())


def test_compose_is_compose() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    jsonschema.validate(compose, compose_schema())
    compose["services"]["redis"]["restart_policy"] = "always"
    with pytest.raises(jsonschema.ValidationError, match="restart_policy"):
        jsonschema.validate(compose, compose_schema())


def test_kubernetes_gives_an_orderly_end_its_time() -> None:
    pod = documents()["Deployment"]["spec"]["template"]["spec"]
    (gateway,) = pod["containers"]
    slept = int(gateway["lifecycle"]["preStop"]["exec"]["command"][1])
    noticed = gateway["readinessProbe"]["periodSeconds"] * gateway["readinessProbe"]["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] >= slept + limits.CONNECTIONS_DROPPED_SECONDS + 5
    assert slept > noticed
    assert {probe: gateway[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")} == {
        "readinessProbe": "/readyz",
        "livenessProbe": "/livez",
    }


def test_every_kubernetes_object_is_about_the_same_pods() -> None:
    found = documents()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert set(found) == set(KINDS)
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    metrics = [metric["pods"]["metric"]["name"] for metric in found["HorizontalPodAutoscaler"]["spec"]["metrics"]]
    assert metrics == ["voice_trio_active_sessions", "voice_trio_event_loop_lag_seconds"]


def test_the_ingress_leads_to_the_service_and_outlives_a_quiet_session_F54() -> None:
    ingress = documents("ingress.yaml")["Ingress"]
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    service = documents()["Service"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
    timeouts = {
        name: int(text.rstrip("s"))
        for name, text in ingress["metadata"]["annotations"].items()
        if name.endswith(("read-timeout", "send-timeout"))
    }
    assert len(timeouts) == 4
    assert all(seconds > 3 * limits.PING_SECONDS for seconds in timeouts.values())
    assert ingress["metadata"]["annotations"]["nginx.org/websocket-services"] == service["metadata"]["name"]


def test_prometheus_in_a_cluster_has_the_token_the_job_and_the_alerts_F54() -> None:
    assert monitoring() == (DEPLOY / "kubernetes" / "monitoring.yaml").read_text("utf-8"), "run kubernetes_rules.py"
    watching, found = documents("monitoring.yaml"), documents()
    monitor = watching["ServiceMonitor"]["spec"]
    service_labels = found["Service"]["metadata"]["labels"]
    (endpoint,) = monitor["endpoints"]
    (gateway,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert monitor["selector"]["matchLabels"].items() <= service_labels.items()
    assert endpoint["port"] in [port["name"] for port in found["Service"]["spec"]["ports"]]
    assert endpoint["authorization"]["credentials"] == {
        "name": gateway["envFrom"][0]["secretRef"]["name"],
        "key": "METRICS_TOKEN",
    }
    assert service_labels[monitor["jobLabel"]] == "voice-trio"
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
    assert watching["PrometheusRule"]["spec"] == alerts
    assert set(re.findall(r'job="([^"]+)"', str(alerts))) == {"voice-trio"}
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert [job["job_name"] for job in scraped] == ["voice-trio"]
    annotations = found["Deployment"]["spec"]["template"]["metadata"].get("annotations", {})
    assert not [name for name in annotations if name.startswith("prometheus.io/")]  # they send no token


def test_every_variable_that_is_set_exists() -> None:
    (gateway,) = documents()["Deployment"]["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    set_there = {variable["name"] for variable in gateway["env"]} | set(compose["x-gateway"]["environment"])
    assert set_there
    assert set_there <= KNOWN
    mentioned = re.findall(r"\b[A-Z]{3,}_[A-Z_]+\b", (DEPLOY / "nginx.conf").read_text())
    assert set(mentioned) <= KNOWN


def test_compose_gives_an_orderly_end_its_time_and_starts_two_gateways() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    services = {"gateway-1", "gateway-2", "documents", "nginx", "redis", "weaviate", "prometheus"}
    assert set(compose["services"]) == services
    for name in ("gateway-1", "gateway-2"):
        assert int(compose["services"][name]["stop_grace_period"].rstrip("s")) >= limits.CONNECTIONS_DROPPED_SECONDS + 5
