"""Every decision about a conversation, and nothing that waits. Of the package it imports `errors` and `limits` only.

No clock, no task, no JSON, no socket: events with their times go in, commands come out, and the same events always
give the same commands. What waits is in `voice_trio.session`; what each wire looks like in `voice_trio.protocols`.

Where things are

    events, commands   what goes in and what comes out; `session_events` are the session's own, for the client
    response_slot      one response at a time, under both turn policies; `response` is such a response
    announced          each response that the client saw begin ends once
    upstream_errors    what an error of the upstream is about, and whether it heals by itself
    turn/              one turn: its words, its record, its playback, its end
    retrieval/         when to search, with which words, and how passages become context
    managed/           the turn policy of the voice protocol: the gateway asks for each response
    passthrough/       the turn policy of OpenAI's protocol: the client asks, or its session promises a response

Invariants; tests name them (`tests/conversation/test_invariants.py` runs each for both policies)

    I1 one response    never two active responses in the default conversation: response_slot
    I2 context first   a turn's context item leaves before its `response.create`, both after its commit: turn_flow
    I3 deadline        `response.create` leaves at most `wait_seconds_max` after the commit, or at the previous
                       response's done if that is later; not at all if the user goes on first: turn.user_input
    I4 no leak         nothing retrieved for one turn is inserted in another: retrieval.prefetch, one for each turn
    I5 silence         after an interruption no further audio of that response reaches the client: response handlers
    I6 truncation      at most one for an item, 0 < end ≤ audio received, before the next `response.create`: truncation

Glossary (each word has one meaning, here and everywhere)

    upstream       the Realtime server, with the socket to it; `model` is what it runs
    turn           what the user says, by speech or in writing, with its response; begins when they begin
    item           an entry of the upstream's conversation: a user's words, a context item, an assistant's words
    commit         the upstream has taken the user's audio as an item; the turn's wait runs from here
    response       the upstream's work from `response.create` to `response.done`, and what is heard of it
    unsolicited    of a response: not requested by us, or given up before it was created; it is cancelled
    out of band    of a response: outside of the conversation, at the client's own request
    merged         of a turn: its response was unheard when the user went on; the next has its words (status "joined")
    prefetch       the searches of a turn, from while the user is still speaking
    context        passages, rendered into one system item that leaves just before `response.create`
    barge-in       the user speaks while a response is due, generated or heard
    flush          the client must drop the audio it has queued
    heard          how much of an item was played, in ms: reported by the client, else computed by a clock
    truncation     after an interruption: the upstream cuts the item at what was heard, or deletes it
    turn policy    who asks for responses: managed or passthrough; for a client's session, what it has asked for
"""
