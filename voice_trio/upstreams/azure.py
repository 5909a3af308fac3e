"""Azure OpenAI: OpenAI's GA interface under another URL and header; models are named by their deployments.

The transcription model is the name of a deployment too: without one of that name every transcription fails with
`DeploymentNotFound`. Source: https://learn.microsoft.com/en-us/azure/foundry/openai/realtime-audio-reference
"""

from __future__ import annotations

from voice_trio.upstreams.profile import Authorization, UpstreamProfile

AZURE = UpstreamProfile(
    name="azure",
    title="Azure OpenAI",
    authorization=Authorization.API_KEY,
    needs_key=True,
    path="/openai/v1/realtime",
)
