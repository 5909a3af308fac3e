"""What the model gets wrong, and function calls."""

from __future__ import annotations

from tests.support.conversation_fixture import Scene, sample
from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.conversation import ManagedConversation
from voice_trio.conversation.policy import TOOL_ROUNDS_MAX, Policy


def test_every_event_is_understood() -> None:
    kinds = {*events.UpstreamEvent.__args__, *events.ClientEvent.__args__, *events.InternalEvent.__args__}
    for kind in kinds:
        conversation = ManagedConversation(Policy())
        conversation.handle(events.UpstreamReady(), 0.0)
        conversation.handle(sample(kind), 0.0)  # one that is not routed fails with an AssertionError


def test_a_failed_response_is_an_error_the_client_sees() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    scene.done(response, "failed", error_code="server_error")
    assert scene.errors() == ["answer_failed"]
    assert scene.to_client(events.ResponseDone)[-1].status == "failed"
    scene.wait(1)
    assert [record.status for record in scene.records()] == ["failed"]


def test_an_incomplete_response_is_an_error_the_client_sees_after_what_there_is_of_it() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=700)
    scene.done(response, "incomplete", reason="max_output_tokens")
    assert scene.errors() == ["answer_incomplete"]
    scene.wait(1)
    assert [(record.status, record.heard_ms) for record in scene.records()] == [("incomplete", 700)]


def test_a_response_that_failed_for_want_of_money_ends_the_session() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    scene.done(response, "failed", error_code="insufficient_quota")
    assert scene.of(commands.EndSession) == [commands.EndSession("insufficient_quota")]


def test_the_model_is_asked_again_after_a_failure() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    scene.done(response, "failed")
    scene.until(1.0)
    scene.commit(scene.speak("how warm must chicks live"))
    scene.until(2.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_an_expired_session_ends_ours_so_that_it_can_be_resumed() -> None:
    scene = Scene()
    scene.feed(events.UpstreamError("session_expired"))
    assert scene.of(commands.ReplaceUpstream) == [commands.ReplaceUpstream("session_expired")]


def test_an_answer_that_is_never_created_is_told_and_given_up() -> None:
    scene = Scene()
    scene.ask()
    scene.until(29.9)
    assert scene.errors() == []
    scene.until(30.1)
    assert scene.errors() == ["answer_failed"]
    scene.commit(scene.speak("hello there"))
    scene.until(31.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_an_answer_that_is_created_after_it_was_given_up_is_cancelled_by_id() -> None:
    scene = Scene()
    scene.ask()
    tag = dict(scene.last(commands.CreateResponse).metadata)
    scene.until(31.0)
    scene.feed(events.ResponseCreated("resp_late", tag))
    assert scene.last(commands.CancelResponse).response_id == "resp_late"
    assert scene.to_client(events.ResponseCreated) == []


def test_I1_a_response_nobody_asked_for_is_cancelled_unheard_and_waited_out() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.feed(events.ResponseCreated("resp_own_idea"))
    assert scene.last(commands.CancelResponse).response_id == "resp_own_idea"
    scene.audio("resp_own_idea", "x", 500)
    scene.commit(item)
    scene.until(1.0)
    assert scene.to_client(events.ResponseAudioDelta) == []
    assert scene.to_upstream(commands.CreateResponse) == []
    scene.done("resp_own_idea", "cancelled")
    assert len(scene.to_upstream(commands.CreateResponse)) == 1


def test_a_server_that_does_not_echo_metadata_is_believed() -> None:
    scene = Scene()
    scene.ask()
    scene.begin_response(audio_ms=100, metadata=False)
    assert scene.to_upstream(commands.CancelResponse) == []
    assert len(scene.to_client(events.ResponseAudioDelta)) == 1


def test_a_refusal_because_another_response_is_active_is_tried_again_when_that_is_done() -> None:
    scene = Scene()
    scene.ask()
    refused = scene.last(commands.CreateResponse)
    scene.feed(events.UpstreamError("conversation_already_has_active_response", "", refused.event_id))
    assert len(scene.to_upstream(commands.CreateResponse)) == 1
    scene.until(0.4)
    scene.done("resp_unknown")
    assert scene.times(commands.CreateResponse)[-1] == 0.4
    assert len(scene.to_upstream(commands.CreateContextItem)) == 1
    assert len(scene.to_client(commands.ContextInjected)) == 1
    assert scene.errors() == []


def test_a_response_create_that_is_refused_is_an_error_the_client_sees() -> None:
    scene = Scene()
    scene.ask()
    scene.feed(events.UpstreamError("bad_response_create", "", scene.last(commands.CreateResponse).event_id))
    assert scene.errors() == ["answer_failed"]


def test_a_response_that_the_session_denies_ends_its_turn_with_an_error_and_the_next_one_is_asked_for_F13() -> None:
    scene = Scene()
    scene.ask()
    scene.feed(events.ResponseDenied(scene.last(commands.CreateResponse).event_id))
    assert scene.errors() == ["budget_exhausted"]
    scene.until(20.0)
    assert [record.status for record in scene.records()] == ["failed"]
    assert scene.errors() == ["budget_exhausted"]
    scene.ask("and how warm in the second week")
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_errors_about_our_own_housekeeping_stay_ours() -> None:
    scene = Scene()
    scene.ask()
    context = scene.last(commands.CreateContextItem)
    scene.feed(events.UpstreamError("item_create_duplicate_item_id", "", context.event_id))
    response, _ = scene.begin_response(audio_ms=2000)
    scene.until(1.0)
    scene.speak("stop")
    scene.done(response, "cancelled")
    scene.feed(events.UpstreamError("invalid_value", "too long", scene.last(commands.TruncateItem).event_id))
    assert scene.errors() == []
    assert len(scene.of(commands.LogWarning)) == 2


def test_an_error_nobody_caused_is_told_without_its_text() -> None:
    scene = Scene()
    scene.feed(events.UpstreamError("server_error", "internal detail sk-secret"))
    (notice,) = scene.to_client(commands.ErrorNotice)
    assert notice.code == "model_error"
    assert "secret" not in notice.message


def test_a_late_done_is_counted_once_and_changes_nothing() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=100)
    scene.done(response)
    before = len(scene.to_client(events.ResponseDone))
    scene.done(response)
    assert len(scene.to_client(events.ResponseDone)) == before


def test_I10_every_response_is_counted_the_interrupted_and_the_unasked_ones_too() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.speak("stop")
    scene.done(response, "cancelled")
    scene.feed(events.ResponseCreated("own_idea"))
    scene.done("own_idea", "cancelled")
    assert [usage.source_id for usage in scene.of(commands.CountUsage)] == [response, "own_idea"]


def test_function_calls_are_answered_after_the_response_is_done_and_the_turn_goes_on() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    scene.feed(events.FunctionCalled(response, "fc", "call_1", "weather", "{}"))
    assert scene.of(commands.CallTool) == [commands.CallTool(1, "call_1", "weather", "{}")]
    scene.feed(events.ToolFinished("call_1", '{"rain":true}'))
    assert scene.to_upstream(commands.CreateFunctionOutput) == []
    scene.done(response)
    assert scene.upstream_log()[-2:] == ["CreateFunctionOutput", "CreateResponse"]
    assert len(scene.to_client(commands.ContextInjected)) == 1


def test_a_slow_function_is_waited_for_and_barge_in_answers_for_it() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    scene.feed(events.FunctionCalled(response, "fc", "call_1", "weather", "{}"))
    scene.done(response)
    scene.until(2.0)
    second = scene.speak("never mind")
    assert scene.last(commands.CreateFunctionOutput).output == '{"error":"interrupted by the user"}'
    scene.feed(events.ToolFinished("call_1", "late"))
    assert len(scene.to_upstream(commands.CreateFunctionOutput)) == 1
    scene.commit(second)
    scene.until(3.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_a_model_that_only_calls_functions_must_speak_in_the_end() -> None:
    scene = Scene()
    scene.ask()
    for call in range(TOOL_ROUNDS_MAX):
        response, _ = scene.begin_response()
        scene.feed(events.FunctionCalled(response, f"fc{call}", f"call_{call}", "weather", "{}"))
        scene.feed(events.ToolFinished(f"call_{call}", "{}"))
        scene.done(response)
    allowed = [request.tools_allowed for request in scene.to_upstream(commands.CreateResponse)]
    assert allowed == [True] * TOOL_ROUNDS_MAX + [False]


def test_ending_the_session_reports_the_turn_in_progress() -> None:
    scene = Scene()
    scene.ask()
    scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    (report,) = scene.conversation.close(1.0)
    assert isinstance(report, commands.ReportTurn)
    assert (report.record.status, report.record.heard_ms) == ("ended", 1000)


def test_a_response_nobody_asked_for_blocks_the_model_for_a_while_only() -> None:
    scene = Scene()
    scene.feed(events.ResponseCreated("resp_own_idea", {}))
    scene.ask()
    scene.until(2.9)
    assert scene.to_upstream(commands.CreateResponse) == []
    scene.until(3.1)
    assert len(scene.to_upstream(commands.CreateResponse)) == 1


def test_a_creation_that_is_told_twice_changes_nothing() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=500)
    scene.feed(events.ResponseCreated(response, dict(scene.last(commands.CreateResponse).metadata)))
    assert scene.to_upstream(commands.CancelResponse) == []
    assert len(scene.to_client(events.ResponseCreated)) == 1


def test_an_answer_that_breaks_off_without_a_word_is_given_up_and_told() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=500)
    scene.until(20.0)
    scene.audio(response, item, 500)
    scene.until(49.9)
    assert scene.errors() == []
    scene.until(50.1)
    assert scene.errors() == ["answer_incomplete"]
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    scene.wait(1)
    assert not scene.conversation.is_answering(scene.now)
    scene.commit(scene.speak("how warm must chicks live"))
    scene.wait(1)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_a_cut_response_that_had_called_a_function_answers_no_more() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    scene.feed(events.FunctionCalled(response, "fc", "call_1", "weather", "{}"))
    scene.done(response, "incomplete")
    scene.wait(5)
    assert scene.conversation.quiet_since(scene.now) is not None


def test_an_interrupted_answer_that_fails_for_want_of_money_ends_the_session_too() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=500)
    scene.speak("stop")
    scene.done(response, "failed", error_code="insufficient_quota")
    assert scene.of(commands.EndSession) == [commands.EndSession("insufficient_quota")]


def test_rounds_of_functions_are_no_attempts() -> None:
    scene = Scene()
    scene.ask()
    for call in range(2):
        response, _ = scene.begin_response()
        scene.feed(events.FunctionCalled(response, f"fc{call}", f"call_{call}", "weather", "{}"))
        scene.feed(events.ToolFinished(f"call_{call}", "{}"))
        scene.done(response)
    scene.feed(
        events.UpstreamError(
            "conversation_already_has_active_response", "", scene.last(commands.CreateResponse).event_id
        )
    )
    assert scene.errors() == []


def test_an_answer_that_falls_silent_is_given_up_and_the_user_is_told() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=100)
    scene.wait(29.9)
    assert scene.to_upstream(commands.CancelResponse) == []
    scene.wait(0.2)
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    assert scene.errors() == ["answer_incomplete"]


def waiting(scene: Scene) -> list[tuple[float, int]]:
    """(when, seconds) of each `session.waiting`."""
    return [
        (at, command.event.seconds)
        for at, command in scene.commands
        if isinstance(command, commands.SendToClient) and isinstance(command.event, commands.WaitingForUpstream)
    ]


def test_an_answer_that_is_not_created_is_waited_for_aloud_F63() -> None:
    scene = Scene()
    scene.ask()
    scene.until(60.0)
    assert waiting(scene) == [(8.0, 8), (16.0, 16), (24.0, 24)]
    assert scene.errors() == ["answer_failed"]


def test_an_answer_that_falls_silent_is_waited_for_aloud_from_its_last_event_on_F63() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=100)
    scene.wait(5.0)
    scene.audio(response, item, 100)
    scene.wait(60.0)
    assert waiting(scene) == [(13.0, 8), (21.0, 16), (29.0, 24)]
    assert scene.errors() == ["answer_incomplete"]
    assert [(done.response_id, done.status) for done in scene.to_client(events.ResponseDone)] == [
        (response, "incomplete")
    ]


def test_a_running_function_is_no_silence_F63() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=100)
    scene.feed(events.FunctionCalled(response, "fc", "call_1", "weather", "{}"))
    scene.wait(100.0)
    assert waiting(scene) == []
    scene.feed(events.ToolFinished("call_1", "{}"))
    scene.wait(29.0)
    assert [seconds for _, seconds in waiting(scene)] == [8, 16, 24]
    assert scene.errors() == []
    scene.wait(8.0)
    assert scene.errors() == ["answer_incomplete"]


def test_arguments_of_a_function_are_no_silence_F63() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response()
    for _ in range(10):
        scene.wait(7.0)
        scene.feed(events.OtherUpstreamEvent("response.function_call_arguments.delta", response))
    assert waiting(scene) == []
    assert scene.errors() == []


def test_an_interrupted_answer_is_not_waited_for_aloud_F63() -> None:
    scene = Scene()
    scene.ask()
    scene.begin_response(audio_ms=100)
    scene.speak("stop")
    scene.wait(60.0)
    assert waiting(scene) == []


def test_an_answer_in_words_alone_is_no_silence() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=100)
    for _ in range(5):
        scene.wait(20.0)
        scene.feed(events.ResponseTranscriptDelta(response, item, " more"))
    assert scene.errors() == []
    scene.wait(31.0)
    assert scene.errors() == ["answer_incomplete"]
