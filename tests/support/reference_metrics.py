"""docs/reference/metrics.md, made from the metrics of a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from prometheus_client.metrics import MetricWrapperBase

from tests.support.gateway_fixture import make_gateway
from voice_trio.conversation.turn.timeline import LATENCIES
from voice_trio.web.instance_heartbeat import InstanceHeartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

INTRODUCTION = """\
# Metrics

`GET /metrics` of each instance, in Prometheus's text format. With `METRICS_TOKEN` it requires that as a bearer:

```sh
curl -s -H "Authorization: Bearer $METRICS_TOKEN" http://127.0.0.1:8000/metrics | grep ^voice_trio_
```

A histogram has `_bucket`, `_count` and `_sum`. Labels have few values, and none names a person. With workers the values
cover the whole instance ([what each address shows](../serving.md#workers)).

| metric | type | labels | meaning |
|---|---|---|---|
"""
STAGES = """
Values of `stage`, each a latency within a turn: {stages}.

Of searches, `source` is `store` (the knowledge base) or `local` (the passage cache), and `outcome` is `found`,
`nothing`, `failed` or `unfinished`. Of `voice_trio_retrievals_total` it is one of the
[outcomes of a turn](../protocol.md#from-the-gateway). `voice_trio_search_seconds` counts searches that finished.

`process_*` are the usual metrics of a process: CPU, memory, descriptors, start.
"""


def metrics_page() -> str:
    """The page as Markdown, without its notice."""
    rows = sorted(trio.run(_rows))
    return INTRODUCTION + "\n".join(rows) + "\n" + STAGES.format(stages=", ".join(f"`{name}`" for name in LATENCIES))


async def _rows() -> list[str]:
    async with trio.open_nursery() as nursery:
        gateway = make_gateway(nursery)
        InstanceHeartbeat(gateway)
        rows = [_row(metric) for metric in _metrics(gateway.statistics.registry)]
        nursery.cancel_scope.cancel()
    return rows


def _metrics(registry: CollectorRegistry) -> Iterator[MetricWrapperBase]:
    # The exposition has no labels of a metric that was never set, so the collectors themselves are read.
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            yield collector


def _row(metric: MetricWrapperBase) -> str:
    kind = metric._type
    name = f"{metric._name}_total" if kind == "counter" else metric._name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "–"
    return f"| `{name}` | {kind} | {labels} | {metric._documentation} |"
