"""The exact frames of the voice protocol: every event to a client, byte for byte."""

from __future__ import annotations

import base64
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.conversation import commands, events, session_events
from voice_trio.conversation.commands import InjectedPassage
from voice_trio.conversation.turn.record import Outcome
from voice_trio.protocols.voice import server_events, writer

BROODING, UNTITLED = InjectedPassage("Brooding", "brooding.md", "34 °C", "psg_1"), InjectedPassage("", "a/b", "33 °C")

FRAMES: list[tuple[session_events.ToClient, str]] = [
    (
        events.SpeechStarted("item_1", 1760),
        '{"type":"input_audio_buffer.speech_started","item_id":"item_1","audio_start_ms":1760}',
    ),
    (
        events.SpeechStopped("item_1", 3000),
        '{"type":"input_audio_buffer.speech_stopped","item_id":"item_1","audio_end_ms":3000}',
    ),
    (
        events.SpeechCommitted("item_2", "item_1"),
        '{"type":"input_audio_buffer.committed","item_id":"item_2","previous_item_id":"item_1"}',
    ),
    (
        events.SpeechCommitted("item_1", None),
        '{"type":"input_audio_buffer.committed","item_id":"item_1","previous_item_id":null}',
    ),
    (
        events.TranscriptDelta("item_1", " warm é", 1),
        '{"type":"conversation.item.input_audio_transcription.delta",'
        '"item_id":"item_1","content_index":1,"delta":" warm é"}',
    ),
    (
        events.TranscriptCompleted("item_1", 'How "warm"?', {"seconds": 3}),
        '{"type":"conversation.item.input_audio_transcription.completed",'
        '"item_id":"item_1","content_index":0,"transcript":"How \\"warm\\"?"}',
    ),
    (
        events.ResponseCreated("resp_1", {"vt_tag": "1"}),
        '{"type":"response.created","response_id":"resp_1","response":{"id":"resp_1","status":"in_progress"}}',
    ),
    (
        events.ResponseAudioDelta("resp_1", "item_1", "AAAA", 1.0),
        '{"type":"response.audio.delta","delta":"AAAA","item_id":"item_1","response_id":"resp_1"}',
    ),
    (
        events.ResponseAudioDone("resp_1", "item_1"),
        '{"type":"response.audio.done","item_id":"item_1","response_id":"resp_1"}',
    ),
    (
        events.ResponseTranscriptDelta("resp_1", "item_1", " 33"),
        '{"type":"response.audio_transcript.delta","delta":" 33","item_id":"item_1","response_id":"resp_1"}',
    ),
    (
        events.ResponseTranscriptDone("resp_1", "item_1", "33"),
        '{"type":"response.audio_transcript.done","transcript":"33","item_id":"item_1","response_id":"resp_1"}',
    ),
    (
        events.ResponseDone("resp_1", "completed", usage={"total_tokens": 9}),
        '{"type":"response.done","response_id":"resp_1","status":"completed","response":{"id":"resp_1","status":"completed"}}',
    ),
    (
        events.ResponseDone("resp_1", "cancelled", "turn_detected"),
        '{"type":"response.done","response_id":"resp_1","status":"cancelled","response":{"id":"resp_1","status":"cancelled"},"reason":"turn_detected"}',
    ),
    (
        commands.ContextInjected(
            Outcome.HIDDEN,
            0,
            False,
            (BROODING, UNTITLED),
        ),
        '{"type":"context.injected","outcome":"hidden","waited_ms":0,"passages":[{"title":"Brooding","source":"brooding.md","id":"psg_1"},{"title":"","source":"a/b"}]}',
    ),
    (
        commands.ContextInjected(Outcome.LATE, 200, True, ()),
        '{"type":"context.injected","outcome":"late","waited_ms":200,"stale":true,"passages":[]}',
    ),
    (commands.PlaybackFlush("item_1", 700), '{"type":"playback.flush","item_id":"item_1","played_ms":700}'),
    (
        commands.ErrorNotice("rate_limited", "Slower.", 2.5),
        '{"type":"error","error":{"code":"rate_limited","message":"Slower.","retry_after":2.5}}',
    ),
    (
        commands.WaitingForUpstream(16),
        '{"type":"session.waiting","seconds":16}',
    ),
    (
        commands.ErrorNotice("answer_failed", "Failed."),
        '{"type":"error","error":{"code":"answer_failed","message":"Failed."}}',
    ),
    (
        session_events.ConnectionReady("s", "t", 1790000000),
        '{"type":"connection.ready","session_id":"s","resume_token":"t","expires_at":1790000000,"protocol":1}',
    ),
    (
        session_events.ConnectionReady("s", "t", 1790000000.25),
        '{"type":"connection.ready","session_id":"s","resume_token":"t","expires_at":1790000000.25,"protocol":1}',
    ),
    (
        session_events.SessionDescribed(
            "session.created",
            '{"type":"realtime","model":"m","instructions":"SECRET","audio":{"output":{"voice":"marin"}}}',
        ),
        '{"type":"session.created","session":{"type":"realtime","model":"m","audio":{"output":{"voice":"marin"}}}}',
    ),
    (session_events.SessionDescribed("session.updated", "no JSON"), '{"type":"session.updated","session":{}}'),
    (session_events.SessionExpiring(60), '{"type":"session.expiring","seconds_left":60}'),
    (session_events.SessionTimeout("Ten minutes."), '{"type":"session.timeout","message":"Ten minutes."}'),
    (session_events.SessionEnding("idle"), '{"type":"session.ending","reason":"idle"}'),
    (session_events.SessionDraining("t"), '{"type":"session.draining","resume_token":"t"}'),
    (session_events.SessionRecovering(), '{"type":"session.recovering"}'),
    (session_events.SessionRecovered(), '{"type":"session.recovered"}'),
    (
        session_events.BudgetWarning("session", 0.8, 1.0),
        '{"type":"budget.warning","scope":"session","spent_usd":0.8,"limit_usd":1.0}',
    ),
    (
        session_events.TurnMetrics(
            3,
            "completed",
            ("item_1",),
            ("item_2",),
            {"vad": 500, "first_audio": 900},
            (
                session_events.QueryMetrics(0, None, "unfinished", False),
                session_events.QueryMetrics(120, 40, "found", True),
            ),
            0.25,
            1.5,
            True,
        ),
        '{"type":"turn.metrics","turn":3,"status":"completed","user_items":["item_1"],"answer_items":["item_2"],"stages_ms":{"vad":500,"first_audio":900},"queries":[{"at_ms":0,"took_ms":null,"outcome":"unfinished","local":false},{"at_ms":120,"took_ms":40,"outcome":"found","local":true}],"cost_usd":0.25,"session_cost_usd":1.5,"cost_is_estimate":true}',
    ),
    (
        session_events.PassageOpened("psg_1", "Brooding", "34 °C\n<b>"),
        '{"type":"passage","id":"psg_1","title":"Brooding","text":"34 °C\\n<b>"}',
    ),
    (
        session_events.PassageRefused("psg_2", "not_found", "No such passage."),
        '{"type":"error","error":{"code":"not_found","message":"No such passage.","passage_id":"psg_2"}}',
    ),
    (session_events.PingAnswered(), '{"type":"pong"}'),
    (session_events.PingAnswered("a"), '{"type":"pong","id":"a"}'),
    (session_events.PingAnswered(7), '{"type":"pong","id":7}'),
]


@pytest.mark.parametrize(("event", "frame"), FRAMES, ids=lambda each: type(each).__name__)
def test_a_frame_keeps_its_bytes(event: session_events.ToClient, frame: str) -> None:
    assert writer.write(event) == frame


def test_a_refusal_keeps_its_bytes() -> None:
    assert writer.refusal("draining", "Later.", 12) == (
        '{"type":"error","error":{"code":"draining","message":"Later.","retry_after":12}}'
    )
    assert writer.refusal("draining", "Later.") == '{"type":"error","error":{"code":"draining","message":"Later."}}'


@given(st.binary(max_size=400), st.text(), st.text())
def test_spliced_audio_is_what_the_struct_encodes_to(pcm: bytes, item_id: str, response_id: str) -> None:
    audio = base64.b64encode(pcm).decode()
    struct = server_events.AudioDelta(audio, item_id, response_id)
    spliced = writer.write(events.ResponseAudioDelta(response_id, item_id, audio, 1.0))
    assert spliced == msgspec.json.encode(struct).decode()


def test_every_event_that_leaves_has_a_frame_here() -> None:
    leaving = {kind for kind in get_args(session_events.ToClient) if kind not in get_args(writer.Withheld)}
    assert {type(event) for event, _ in FRAMES} == leaving
