"""The server's side of a Realtime session, shared by the embedded server and the scripted model. Pure.

    session          client events in, server events out: which are refused, what each is answered with
    responses        which are in progress, which may be created or cancelled
    response         one of them, from `response.created` to `response.done`, in the order recorded of the API
    session_object   the session that a client sees and changes

A server brings a `SessionHost`: it recognises audio and decides what a response says. Everything else that a client can
observe is decided here, once.
"""
