"""Floor 0: everything that is decided about a conversation, and nothing that waits.

No clock, no task, no JSON, no socket: events with their times go in, commands come out, and the same events always
give the same commands. What waits lives in `voice_trio.session`; how each side spells things in `voice_trio.protocols`.

Glossary (each word means one thing, here and everywhere)

    turn         the user says something (speech or typed) and is answered; begins when they begin
    item         an entry of the model's conversation: what the user said, a context item, what the assistant said
    commit       the model has taken the user's audio as an item; the turn's 200 ms run from here
    response     the model's work on one answer, from `response.create` to `response.done`; it may hold several items
    answer       a response as the user meets it: asked for, being generated, being heard
    prefetch     searching the knowledge base with the words that are in while the user is still speaking
    context      passages, rendered into one system item that leaves just before `response.create`
    barge-in     the user speaks while an answer is asked for, generated or heard
    flush        telling the client to drop the audio it has queued
    heard        what the user's ears got of an item, in ms: reported by the client, else reckoned by a clock
    settlement   after an interruption: telling the model what was heard (truncate), or that nothing was (delete)
    dialect      how one side spells all this on its wire
"""
