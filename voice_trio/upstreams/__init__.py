"""The upstreams that the gateway can speak to: one profile each, chosen by setting or by the host and path of the URL.

A profile is a value. It says how a connection is opened and authorised, who ends a turn, and what the upstream can do.
The conversation knows capabilities only, never a name.
"""
