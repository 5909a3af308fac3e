"""Stories of bills, written down: what goes upstream and comes back, and what is reserved and billed after each step.

Each function tells one, by its name. The transcripts are in tests/session/bills; `python -m tests.support.bill_stories`
writes them anew: read what it changed before it is committed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.budget_fixture import Budgets
from tests.support.stories import show
from voice_trio.conversation import commands, events
from voice_trio.session.observers import ClientSessionUpdated, SidecarAudioSent, TranscriptionModelChanged
from voice_trio.session.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER = Path(__file__).parents[1] / "session" / "bills"


class BillStory:
    """A bill of one session; each step is followed by what is reserved and billed, where that has changed."""

    def __init__(self, **budgets: str) -> None:
        self.budgets = Budgets(None, **budgets)
        self.bill = self.budgets.open_bill("ann")
        self.summary = Summary("s")
        self.bill.session_ready(self.summary)
        self.lines: list[str] = []

    def turn(self, number: int) -> None:
        self.bill.on_command(commands.BeginTurn(number), 0.0)
        self._note(f"turn {number}")

    def asks(self, tag: str, **body: Any) -> None:
        admitted = self.bill.admits(commands.CreateClientResponse(tag, {"vt": tag}, body))
        self._note(f"asks {tag} {show(body)}: {admitted}")

    def sends(self, command: commands.UpstreamCommand) -> None:
        self._note(f"sends {show(command)}: {self.bill.admits(command)}")

    def sees(self, *given: Any) -> None:
        for event in given:
            self.bill.event_handlers()[type(event)](event, 0.0)
            self._note(f"sees {show(event)}")

    def uses(self, kind: str, source_id: str, **usage: Any) -> None:
        self.bill.on_command(commands.CountUsage(kind, source_id, usage or None), 0.0)
        self._note(f"uses {kind} {source_id} {show(usage)}")

    def ends(self) -> None:
        self.bill.session_closing(0.0)
        self._note("ends")

    def _note(self, step: str) -> None:
        bill, day = self.bill, self.budgets.daily.account("day", "")
        self.lines.append(step)
        cost = f"{bill.cost.usd:.9f} estimate {bill.cost.is_estimate} {bill.cost.warnings}"
        turns = {turn: f"{usd:.9f}" for turn, usd in bill.costs.by_turn.items()}
        for line in (
            f"    reserved: {bill.reserved_micro_usd}; known: {day.observed_usd:.9f}",
            f"    billed: {cost}; by turn: {turns}",
            f"    day: {day.used_usd:.9f} and {day.reserved_usd:.9f} reserved",
            f"    estimated: {bill.costs.estimated_usd:.9f}; retry after: {bill.retry_after}",
            f"    warned: {show(self.budgets.warnings)}; exhausted: {self.budgets.exhausted}",
        ):
            if line != self._newest(line.partition(":")[0]):
                self.lines.append(line)

    def _newest(self, beginning: str) -> str | None:
        return next((line for line in reversed(self.lines) if line.startswith(beginning)), None)


def spoken(tokens: int, **more: Any) -> dict[str, Any]:
    """A usage of so many tokens of sound, after an input of some of each kind."""
    details = {"text_tokens": 30, "audio_tokens": 20, "image_tokens": 10, "cached_tokens": 12}
    return {
        **{"input_tokens": 60, "input_token_details": details, "output_tokens": tokens},
        **{"output_token_details": {"audio_tokens": tokens - 10, "text_tokens": 10}, **more},
    }


def message(text: str, item_id: str = "w1") -> commands.ForwardClientEvent:
    item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return commands.ForwardClientEvent("vt_p1", {"type": "conversation.item.create", "item": item})


def responses_that_are_billed_in_the_turn_they_were_asked_in() -> BillStory:
    story = BillStory()
    story.turn(1)
    story.sends(commands.CreateContextItem("e1", "x1", None, "context " * 40))
    story.sends(commands.CreateUserItem("e2", "u1", "How warm must the brooder be?"))
    story.sends(commands.CreateResponse("t1", {"vt": "t1"}))
    created = events.ResponseCreated("r1", {"vt": "t1"})
    story.sees(created, created, events.ResponseAudioDelta("r1", "a", "", 600.0))
    story.sees(events.ResponseAudioDelta("r1", "a", "", 600.0), events.ResponseAudioDelta("other", "a", "", 5000.0))
    story.sees(
        events.ResponseTranscriptDelta("r1", "a", "x" * 500), events.ResponseTranscriptDelta("r1", "a", "y" * 50)
    )
    story.turn(2)
    story.uses("response", "r1", **spoken(200))
    story.uses("response", "r1", **spoken(500))
    story.sees(events.ResponseAudioDelta("r1", "a", "", 5000.0))
    story.sends(commands.CreateFunctionOutput("e3", "c1", '{"sun": 1}'))
    story.asks("t2", instructions="Be kind. " * 10, max_output_tokens=50, tools=[{"type": "function", "name": "f"}])
    story.sees(events.ResponseCreated("r2", {"vt": "t2"}), events.ResponseAudioDelta("r2", "a", "", 30_500.0))
    story.uses("response", "r2")
    story.uses("response", "never seen", **spoken(100))
    story.uses("response", "never seen either")
    story.ends()
    return story


def responses_beside_the_conversation() -> BillStory:
    story = BillStory()
    story.sends(message("How deep must the water be for ducks? " * 10))
    reference = {"type": "item_reference", "id": "w1"}
    unknown = {"type": "item_reference", "id": "unknown"}
    story.asks("o1", conversation="none", input=[reference])
    story.asks("o2", conversation="none", input=[unknown])
    story.asks("o3", conversation="none", input=[])
    story.asks("o4", conversation="none")
    story.sees(*(events.ResponseCreated(f"r{number}", {"vt": f"o{number}"}) for number in range(1, 5)))
    story.asks("t1")
    for number in range(1, 5):
        story.uses("response", f"r{number}", **spoken(100 * number))
    story.ends()
    return story


def responses_that_are_refused_or_never_created() -> BillStory:
    story = BillStory()
    story.asks("t1")
    story.sees(events.UpstreamError("invalid_value", "no", "t1"))
    story.asks("t2")
    story.asks("o1", conversation="none")
    story.sees(events.UpstreamError("conversation_already_has_active_response", "busy"))
    story.sees(events.UpstreamError("server_error", "x"), events.CreationOverdue("o1"), events.CreationOverdue("x"))
    story.asks("t3")
    story.sees(events.ResponseCreated("r3"), events.CreationOverdue("t3"), events.UpstreamError("x", "", "r3"))
    story.sees(events.ResponseCreated("own"), events.ResponseAudioDelta("own", "a", "", 2500.0))
    story.uses("response", "own", output_tokens="many")
    story.asks("t4")
    story.sees(events.UpstreamLost())
    story.asks("t5")
    story.ends()
    return story


def speech_that_is_transcribed() -> BillStory:
    story = BillStory()
    story.turn(1)
    story.sees(events.SpeechStarted("i1", 500), events.SpeechStopped("i1", 3500))
    story.turn(2)
    story.sees(events.SpeechCommitted("i1"), events.SpeechStopped("i1", 9000))
    story.uses("transcription", "i1", type="duration", seconds=3)
    story.sees(events.SpeechStarted("i2", 4000), events.SpeechStopped("i2", 6000), events.TranscriptFailed("i2"))
    story.summary.audio_in_s = 10.0
    story.sees(events.SpeechCommitted("unannounced"))
    story.summary.audio_in_s = 14.0
    commit = commands.ForwardClientEvent("vt_p1", {"type": "input_audio_buffer.commit"}, is_commit=True)
    story.sends(commit)
    story.sees(events.SpeechCommitted("i3"))
    story.uses("transcription", "i3", input_tokens=40, output_tokens=5)
    story.summary.audio_in_s = 20.0
    story.sends(commands.ForwardClientEvent("vt_p2", {"type": "input_audio_buffer.clear"}))
    story.summary.audio_in_s = 21.0
    story.sends(commit)
    story.sees(TranscriptionModelChanged("whisper-1"), events.SpeechCommitted("i4"))
    story.uses("transcription", "i4", type="duration", seconds=1)
    story.sees(TranscriptionModelChanged(None), events.SpeechStarted("i5", 0), events.SpeechStopped("i5", 5000))
    story.sees(TranscriptionModelChanged("gpt-4o-transcribe"), events.SpeechStarted("i6", 0))
    story.sees(events.SpeechStopped("i6", 5000), events.UpstreamLost(), events.SpeechStopped("i7", 100))
    story.asks("t1")
    story.ends()
    return story


def a_sidecar_beside_it() -> BillStory:
    story = BillStory()
    story.turn(3)
    story.sees(*(SidecarAudioSent("sidecar_1", 0.4) for _ in range(4)), SidecarAudioSent("sidecar_2", 2.5))
    story.sees(events.UpstreamLost())
    story.uses("sidecar", "sidecar_1", type="duration", seconds=2)
    story.sees(SidecarAudioSent("sidecar_1", 4.0))
    story.ends()
    return story


def a_session_whose_settings_grow_and_shrink() -> BillStory:
    story = BillStory()
    story.sees(ClientSessionUpdated({"instructions": "x" * 4000, "tools": [{"name": "f", "description": "y" * 400}]}))
    story.asks("t1")
    story.sees(events.ResponseCreated("r1", {"vt": "t1"}), ClientSessionUpdated({"instructions": "short"}))
    story.asks("o1", conversation="none", input=[])
    story.uses("response", "r1", **spoken(100))
    story.asks("o2", conversation="none", input=[])
    story.sees(ClientSessionUpdated({"tools": []}), ClientSessionUpdated({"voice": "marin"}))
    story.asks("t2")
    story.ends()
    return story


def a_budget_of_the_session_that_is_spent() -> BillStory:
    story = BillStory(SESSION_BUDGET_USD="0.05")
    for number in range(4):
        story.asks(f"t{number}")
    story.sees(events.ResponseCreated("r0", {"vt": "t0"}), events.ResponseAudioDelta("r0", "a", "", 32_000.0))
    story.asks("denied")
    story.sees(events.ResponseAudioDelta("r0", "a", "", 10_000.0))
    story.asks("spent")
    story.sends(message("hello"))
    story.ends()
    return story


def a_budget_of_the_user_that_is_spent() -> BillStory:
    story = BillStory(USER_DAILY_BUDGET_USD="0.05", DAILY_BUDGET_USD="1")
    story.asks("t1")
    story.sees(events.ResponseCreated("r1", {"vt": "t1"}))
    story.uses("response", "r1", **spoken(650))
    story.asks("t2")
    story.sees(events.ResponseCreated("r2", {"vt": "t2"}))
    story.uses("response", "r2", **spoken(300))
    story.asks("t3")
    story.ends()
    return story


def a_budget_of_the_day_that_is_spent_by_others() -> BillStory:
    story = BillStory(DAILY_BUDGET_USD="0.05")
    other = story.budgets.open_bill("bob")
    other.on_command(commands.CountUsage("response", "r1", spoken(650)), 0.0)
    story.asks("t1")
    other.on_command(commands.CountUsage("response", "r2", spoken(300)), 0.0)
    story.asks("t2")
    story.ends()
    return story


STORIES: Mapping[str, Callable[[], BillStory]] = {
    name.replace("_", " "): tell
    for name, tell in list(globals().items())
    if callable(tell) and getattr(tell, "__annotations__", {}) == {"return": "BillStory"}
}


def write_all() -> None:
    """Write the transcripts of all stories anew."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.txt"):
        file.unlink()
    for name, tell in STORIES.items():
        (FOLDER / f"{name}.txt").write_text("\n".join([*tell().lines, ""]))


if __name__ == "__main__":
    write_all()
