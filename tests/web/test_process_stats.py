"""Figures of several processes: added up they are those of one that saw everything, also after a journey."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import trio
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway_fixture import make_gateway
from tests.support.statistics_fixture import session_summary, turn_record
from voice_trio.billing.prices import Cost
from voice_trio.conversation.turn.record import Outcome, SearchRecord
from voice_trio.observability.prometheus import PrometheusMetrics, forget_gauges, share_metrics
from voice_trio.server.shared import FolderWorkerPeers, SharedFolder
from voice_trio.session.endings import Ending
from voice_trio.web.process_stats import ProcessStats, Snapshot, WorkerFacts, decode_snapshot, encode_snapshot
from voice_trio.web.routes import make_http_app
from voice_trio.web.statistics import Statistics

if TYPE_CHECKING:
    from pathlib import Path

NOON = 1_795_262_400.0


class Process:
    """The statistics of one worker."""

    def __init__(self) -> None:
        self.now = NOON
        self.statistics = Statistics(lambda: 2, unix_time=lambda: self.now, clock=lambda: self.now)

    def sees(self, chance: random.Random) -> None:
        statistics = self.statistics
        user = f"u{chance.randrange(20)}"
        statistics.count_admission(user)
        commit = chance.uniform(0, 9)
        record = turn_record(
            chance.choice(("completed", "cancelled")),
            chance.choice(tuple(Outcome)),
            committed=commit,
            asked=commit + chance.choice((0.0, 0.0, 0.2)),
            first_audio_out=commit + chance.lognormvariate(-1, 1),
        )
        search = SearchRecord(commit, chance.uniform(0, 0.3), "found", local=chance.random() < 0.3)
        statistics.on_turn(replace(record, searches=(search,)))
        statistics.count_cost("response", Cost(Decimal(chance.randrange(100)) / 1000))
        summary = session_summary(chance.choice((Ending.CLIENT_LEFT, Ending.UPSTREAM_LOST)), user)
        statistics.session_ready(summary)
        statistics.session_ended(replace(summary, cost=Cost(Decimal(chance.randrange(100)) / 1000)))
        statistics.count_refusal("rate_limited")


def test_two_processes_tell_what_one_would_that_saw_it_all() -> None:
    chance, same = random.Random(3), random.Random(3)
    here, there, everywhere = Process(), Process(), Process()
    for number in range(300):
        process = (here, there)[number % 2]
        process.now = everywhere.now = NOON + number * 10
        process.sees(chance)
        everywhere.sees(same)
    here.now = there.now = everywhere.now
    told = here.statistics.as_json(after_a_journey(there.statistics))
    whole = everywhere.statistics.as_json()
    assert told.pop("sessions") == whole.pop("sessions") | {"active": 4}
    for minute, other in zip(told.pop("minutes"), whole.pop("minutes"), strict=True):
        minute.pop("active")
        other.pop("active")
        assert minute == other
    assert told == whole


def after_a_journey(statistics: Statistics) -> ProcessStats:
    snapshot = snapshot_of(statistics)
    return decode_snapshot(encode_snapshot(snapshot)).stats


def snapshot_of(statistics: Statistics) -> Snapshot:
    facts = WorkerFacts(
        slot=1, pid=2, instance="i", started=NOON, active=2, places=60, taken=2, draining=False, unready=None,
        loop_lag_ms=1.0,
    )  # fmt: skip
    return Snapshot(facts=facts, stats=statistics.process_stats())


async def test_who_hangs_or_is_gone_is_left_out(nursery: trio.Nursery, tmp_path: Path) -> None:
    one, two = (FolderWorkerPeers(SharedFolder(tmp_path), slot, 4) for slot in (0, 1))
    gateway = make_gateway(nursery)
    nursery.start_soon(two.serve, gateway.snapshot)
    (tmp_path / "2.sock").touch()  # no listener
    with trio.fail_after(5):
        while not (heard := await one.ask()):  # noqa: ASYNC110  # it has to open its socket first
            await trio.sleep(0.01)
    assert [snapshot.facts.instance for snapshot in heard] == [gateway.state.instance]


async def test_one_worker_that_is_ready_makes_the_instance_ready(nursery: trio.Nursery, tmp_path: Path) -> None:
    full, free = make_gateway(nursery), make_gateway(nursery)
    full = replace(full, peers=FolderWorkerPeers(SharedFolder(tmp_path), 0, 2))
    while full.capacity.take():
        pass
    client = make_http_app(full).test_client()
    before = await client.get("/readyz")
    nursery.start_soon(FolderWorkerPeers(SharedFolder(tmp_path), 1, 2).serve, free.snapshot)
    with trio.fail_after(5):
        while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110  # it has to open its socket first
            await trio.sleep(0.01)
    assert (before.status_code, await before.get_json()) == (503, {"status": "at_capacity"})


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process counts as one worker after another; and as none afterwards."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    return tmp_path


def test_the_dead_keep_what_they_counted_and_their_successors_go_on(shared: Path) -> None:
    def worker(slot: int) -> PrometheusMetrics:
        share_metrics(shared, slot)
        return PrometheusMetrics(lambda: 3)

    for slot in (0, 1, 1):  # the second one dies, and another takes its place
        if slot == 1:
            forget_gauges(shared, slot)
        meters = worker(slot)
        meters.admitted.inc(5)
        meters.stages.labels("commit_to_ask").observe(0.1)
        meters.refresh()
    assert read(meters) == {"admitted": 15.0, "stage": 3.0, "active": 6.0}
    forget_gauges(shared, 1)
    share_metrics(shared, 0)
    assert read(PrometheusMetrics(lambda: 3)) == {"admitted": 15.0, "stage": 3.0, "active": 3.0}


def test_users_of_today_are_counted_by_each_worker_they_came_to_and_a_dead_ones_are_gone(shared: Path) -> None:
    statistics: list[Statistics] = []
    for slot, users in enumerate((("ada", "bo"), ("ada",))):
        share_metrics(shared, slot)
        statistics.append(Statistics(lambda: 0))
        for user in users:
            statistics[slot].count_admission(user)
        statistics[slot].session_ready(session_summary(Ending.CLIENT_LEFT, "ada"))
        statistics[slot].metrics.refresh()
    read = statistics[1].registry.get_sample_value
    assert (read("voice_trio_users_talked_today"), read("voice_trio_users_admitted_today")) == (2.0, 3.0)
    forget_gauges(shared, 0)
    assert (read("voice_trio_users_talked_today"), read("voice_trio_users_admitted_today")) == (1.0, 1.0)


def test_the_librarys_variable_alone_shares_nothing(tmp_path: Path) -> None:
    code = (
        "from voice_trio.observability.prometheus import PrometheusMetrics\n"
        "meters = PrometheusMetrics(lambda: 3)\n"
        "meters.admitted.inc(5)\n"
        "print(meters.exposition().decode())\n"
    )
    for folder in (tmp_path, tmp_path / "is not there"):
        env = dict(os.environ, PROMETHEUS_MULTIPROC_DIR=str(folder))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, env=env)
        assert done.returncode == 0, done.stderr
        assert "voice_trio_admitted_total 5.0" in done.stdout
        assert "voice_trio_active_sessions 3.0" in done.stdout
    assert not list(tmp_path.iterdir())


def read(meters: PrometheusMetrics) -> dict[str, float]:
    names = {
        "voice_trio_admitted_total": "admitted",
        "voice_trio_stage_seconds_count": "stage",
        "voice_trio_active_sessions": "active",
    }
    families = text_string_to_metric_families(meters.exposition().decode())
    samples = [sample for family in families for sample in family.samples]
    return {names[sample.name]: sample.value for sample in samples if sample.name in names}
