"""A Realtime-compatible server for one machine, with no key and no network.

    server          TCP, paths, tokens, how many clients at once
    connection      one client: a nursery around a session, the engines as its tasks
    session         the session, pure: frames with their times in, frames and commands out
        input_buffer    where speech is in what the client appends
        utterances      the transcripts of that speech
        answers         what responses say, and when
        commands, queues    what a session decides; what is on its way
    answerer        an answer from the passages after the question, read by `reading`
    engines         the speech engines, as protocols
    local           constructs the engines of this machine: the only door to `speech/`

The order of events and the refusals are those of `protocols.realtime_server`, shared with the scripted model.

The server is a test bed and no rival to a language model. It accepts and shows instructions, tools and noise reduction;
they have no effect. It understands English, and speaks what espeak-ng speaks. It keeps no audio and logs no words.
"""
