"""Writes deploy/kubernetes/monitoring.yaml: a ServiceMonitor, and deploy/alerts.yml as a PrometheusRule.

Run it after a change of deploy/alerts.yml; a test says so when it was forgotten.
"""

from __future__ import annotations

from pathlib import Path

DEPLOY = Path(__file__).parents[1] / "deploy"
HEAD = """\
# For the Prometheus operator. Written by scripts/kubernetes_rules.py from deploy/alerts.yml: change that, and run it.
# Where your Prometheus selects monitors and rules by a label (`release: …` of kube-prometheus-stack), add it to both.
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: voice-trio
  labels: { app: voice-trio }
spec:
  jobLabel: app # the alerts select job="voice-trio"
  selector:
    matchLabels: { app: voice-trio }
  endpoints:
    - port: http
      path: /metrics
      interval: 15s
      authorization:
        type: Bearer
        credentials: { name: voice-trio, key: METRICS_TOKEN } # of the Secret that the gateways read
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: voice-trio
  labels: { app: voice-trio }
spec:
"""


def monitoring() -> str:
    """The text of the file."""
    lines = (DEPLOY / "alerts.yml").read_text("utf-8").splitlines()
    rules = lines[lines.index("groups:") :]
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in rules)


if __name__ == "__main__":
    (DEPLOY / "kubernetes" / "monitoring.yaml").write_text(monitoring(), "utf-8")
