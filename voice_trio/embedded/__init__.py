"""A Realtime-compatible server for one machine: ears, a small mind and a voice, with no key and no network.

    server       who may come in: TCP, paths, tokens, how many at once
    connection   one client: a nursery around a dialogue, ears and mouth as its tasks
    dialogue     the protocol, pure: frames with their times in, frames and orders out
        input_buffer, microphone    what is appended, and where speech is in it
        utterances                  what was said, told while it is said
        replies, reply              responses: which there are, and one of them event by event
        session_object, outbound    what a client may ask for; what is to be said and done
    mind         what to answer, from the passages after the question: reading, phrases
    engines      what is needed of ears and a mouth; local, local_speech: this machine's own, out of `speech`

It is a test bed, no rival to a language model: instructions, tools and noise reduction are accepted and shown, and have
no effect; it understands English, and speaks what espeak-ng speaks. No audio is kept and no word is logged.
"""
