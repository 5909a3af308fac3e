"""The text of .env.example: the variables that a deployment needs first, then all others with their defaults.

Knows the variables only by `variable_groups`. A shell, Docker and Compose read its form alike: no quotes, no blanks in
a value, no comment behind one.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from voice_trio.settings import variable_groups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.settings.reading import Variable

COLUMNS = 120
HEAD = """\
# The variables of a gateway. Copy this file to .env, fill in the first part, and use it:
#
#   a shell          set -a; . ./.env; set +a; voice-trio serve
#   Docker           docker run --env-file .env …
#   Compose          put it beside deploy/compose.yml
#
# No quotes, and no comment behind a value: Docker would take both as a part of it. Keep .env out of version control.
# Written by `python -m voice_trio.settings env`; docs/configuration.md explains more.
"""
FIRST: dict[str, tuple[str, ...]] = {
    "To start": ("ENABLE_VOICE_REALTIME", "OPENAI_API_KEY", "JWT_SECRET"),
    "Before users come": ("DAILY_BUDGET_USD", "USER_DAILY_BUDGET_USD", "SESSION_BUDGET_USD", "ALLOWED_ORIGINS"),
    "With more than one instance": ("REDIS_URL", "VOICE_SIGNING_SECRET", "WEAVIATE_URL", "TRUSTED_PROXY_HOPS"),
    "To watch it": ("METRICS_TOKEN", "SENTRY_DSN", "LOG_FORMAT"),
}
GIVEN = {"ENABLE_VOICE_REALTIME": "true", "LOG_FORMAT": "json"}
"""Values that are set in the file; all others are empty, which counts as unset."""


def env_example() -> str:
    """The whole text."""
    groups = list(variable_groups())
    by_name = {variable.name: variable for _, variables in groups for variable in variables}
    first = {name for names in FIRST.values() for name in names}
    lines = [HEAD]
    for title, names in FIRST.items():
        lines += _part(title, [by_name[name] for name in names], is_first=True)
    for title, variables in groups:
        lines += _part(title.rstrip("."), [each for each in variables if each.name not in first], is_first=False)
    return "\n".join(lines)


def _part(title: str, variables: list[Variable], *, is_first: bool) -> Iterator[str]:
    yield f"# --- {title}"
    for variable in variables:
        meaning = variable.meaning + (" (secret)" if variable.is_secret else "")
        yield textwrap.fill(meaning, COLUMNS, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
        yield (
            f"{variable.name}={GIVEN.get(variable.name, '')}" if is_first else f"#{variable.name}={_default(variable)}"
        )
    yield ""


def _default(variable: Variable) -> str:
    """The default as a value, or nothing where the documentation has words in place of it."""
    text = variable.default.strip("`")
    return "" if text == "–" or " " in text or "`" in text else text
