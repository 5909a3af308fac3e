"""Alerts and charts: valid by Prometheus's own tool, ringing when they must, and about metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trio
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway_fixture import make_gateway
from voice_trio.conversation.turn.timeline import LATENCIES
from voice_trio.web.instance_heartbeat import InstanceHeartbeat

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROMTOOL = shutil.which("promtool")
promtool = pytest.mark.skipif(
    not PROMTOOL, reason="SKIPPED LOUDLY: no promtool here (Debian: prometheus); alerts were not tried"
)


def run(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run([PROMTOOL or "", *arguments], cwd=DEPLOY, input=given, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


def expressions() -> list[str]:
    """Every PromQL expression of the dashboard, its variables replaced by values."""
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [expr.replace("$__rate_interval", "5m").replace("$instance", ".*") for expr in found]


def told(nursery: trio.Nursery) -> str:
    gateway = make_gateway(nursery)
    statistics = gateway.statistics
    InstanceHeartbeat(gateway)
    for name in LATENCIES:
        statistics.metrics.stages.labels(name).observe(0.1)
    statistics.metrics.searches.labels("store", "found").inc()
    statistics.metrics.search_seconds.labels("store", "found").observe(0.1)
    return generate_latest(statistics.registry).decode()


@promtool
def test_the_alert_rules_are_valid() -> None:
    assert "SUCCESS" in run("check", "rules", "alerts.yml")


@promtool
def test_the_alerts_ring_when_they_must_and_only_then() -> None:
    assert "SUCCESS" in run("test", "rules", "alerts_test.yml")


@promtool
def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"x:y{number}", "expr": expr} for number, expr in enumerate(expressions())]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run("check", "rules", str(file))


@promtool
async def test_our_metrics_pass_promtools_own_check(nursery: trio.Nursery) -> None:
    await trio.lowlevel.checkpoint()
    assert run("check", "metrics", given=told(nursery).encode()) == ""


async def test_alerts_and_charts_are_about_metrics_and_stages_that_exist(nursery: trio.Nursery) -> None:
    await trio.lowlevel.checkpoint()
    text = told(nursery)
    families = {family.name for family in text_string_to_metric_families(text)}
    known = {name + end for name in families for end in ("", "_total", "_bucket", "_count", "_sum")}
    used = (DEPLOY / "alerts.yml").read_text() + "\n".join(expressions())
    names = set(re.findall(r"\b(?:voice_trio|process)_\w+", used)) - {"voice_trio"}
    assert names
    assert names <= known
    assert set(re.findall(r'stage="(\w+)"', used)) <= set(LATENCIES)


def test_every_alert_names_a_runbook_that_is_there() -> None:
    runbooks = re.findall(r"docs/operations\.md#([\w-]+)", (DEPLOY / "alerts.yml").read_text())
    titles = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert runbooks
    assert set(runbooks) <= anchors
