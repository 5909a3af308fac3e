"""Reads groups of settings from a mapping of names to texts, with one message for each fault.

Knows how variables are read, validated, masked and displayed. `settings.access`, `settings.upstream`,
`settings.conversation` and `settings.service` define the variables.
"""

from __future__ import annotations

import difflib
import re
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from voice_trio.settings.secret_strength import secret_fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pydantic.config import JsonDict
    from pydantic.fields import FieldInfo

ECHO_CHARS_MAX = 80
NEAR_NAME_CHARS_MIN = 8
"""Shorter names are like each other by accident."""

_OF_OTHERS = frozenset(
    (
        # The SDKs of OpenAI, Sentry and Weaviate read these themselves.
        *("OPENAI_API_BASE", "OPENAI_API_TYPE", "OPENAI_API_VERSION", "OPENAI_BASE_URL", "OPENAI_DEFAULT_MODEL"),
        *("SENTRY_DEBUG", "SENTRY_RELEASE", "WEAVIATE_CLUSTER_URL"),
        # The commands that are clients of a gateway read these.
        *("VOICE_URL", "VOICE_TOKEN", "VOICE_ADMIN_URL", "VOICE_ADMIN_TOKEN"),
    )
)
_SERVICE_LINK = re.compile(r"_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)$")
"""Ends of names by which Kubernetes tells each container of each Service, also of one named `voice-trio` or `redis`."""


class Group(BaseSettings):
    """A frozen group of variables; it reads only the mapping that it is given, not the process environment."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_ignored: Any, **_others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


G = TypeVar("G", bound=Group)


def env(name: str, default: Any, meaning: str, *, shown: str | None = None, **bounds: Any) -> Any:
    """Define a field that is read from the variable `name`.

    `shown` replaces the default in the documentation where the default is computed.
    """
    extra: JsonDict = {"shown": shown}
    return Field(default, validation_alias=name, description=meaning, json_schema_extra=extra, **bounds)


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong variable, and what would be right."""

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable, as the documentation, the warnings and the masked rendering need it."""

    name: str
    attribute: str
    default: str
    meaning: str
    is_secret: bool


def read_group(group: type[G], given: Mapping[str, str]) -> tuple[G, list[Fault]]:
    """The group that `given` describes, and its faults; a faulty variable counts as unset."""
    names = {variable.name for variable in variables_of(group)}
    values: dict[str, Any] = {name: text for name, text in given.items() if name in names}
    try:
        return group(**values), []
    except ValidationError as error:
        faults = [_fault(group, str(problem["loc"][0]), problem, values) for problem in error.errors()]
    faulty = {fault.name for fault in faults}
    healthy, _ = read_group(group, {name: text for name, text in values.items() if name not in faulty})
    return healthy, list({fault.name: fault for fault in faults}.values())


def variables_of(group: type[Group]) -> tuple[Variable, ...]:
    """The variables of `group` in the order of their definition."""
    return tuple(_variable(attribute, field) for attribute, field in group.model_fields.items())


def masked(group: Group) -> dict[str, object]:
    """The values of a group by variable name, for logs and the stats page; secrets are stars."""
    dumped = group.model_dump(mode="json")
    return {variable.name: dumped[variable.attribute] for variable in variables_of(type(group))}


def unknown_name_warnings(given: Collection[str], known: Sequence[str], prefixes: tuple[str, ...]) -> Iterator[str]:
    """A warning for each unknown name that is probably meant for voice_trio, with the most similar known name.

    That is a name with one of `prefixes`, or one like the name of a variable that is not set.
    """
    for name in sorted(set(given) - set(known) - _OF_OTHERS):
        if _SERVICE_LINK.search(name):
            continue
        if name.startswith(prefixes):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{name} is not a variable of voice_trio{hint}"
        elif meant := _meant_by(name, [other for other in known if other not in given]):
            yield f"{name} is not a variable of voice_trio; did you mean {meant}?"


def _meant_by(name: str, known: Sequence[str]) -> str:
    """The variable that a foreign `name` was probably meant for, or nothing: other programs have variables too."""
    if len(name) < NEAR_NAME_CHARS_MIN:
        return ""
    for near in difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8):
        likeness = difflib.SequenceMatcher(None, name.upper(), near).ratio()
        if likeness >= 0.9 or name.upper().partition("_")[0] == near.partition("_")[0]:
            return near
    return ""


def split_commas(text: object) -> object:
    """`"a, b,,"` → `("a", "b")`; any other value than a text is returned as it is."""
    if isinstance(text, str):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


CommaList = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
SecretList = Annotated[tuple[SecretStr, ...], BeforeValidator(split_commas)]


def any_case(*names: str) -> BeforeValidator:
    """A validator that accepts `names` in upper and lower case."""
    by_lower = {name.lower(): name for name in names}
    return BeforeValidator(lambda text: by_lower.get(text.lower(), text) if isinstance(text, str) else text)


def strong_secret(bytes_min: int, use: str) -> AfterValidator:
    """A validator of one secret; `use` names what needs `bytes_min` bytes."""

    def check(secret: SecretStr) -> SecretStr:
        if fault := secret_fault(secret.get_secret_value(), bytes_min, use):
            raise ValueError(fault)
        return secret

    return AfterValidator(check)


def check_url(text: str, schemes: tuple[str, ...]) -> str:
    """Return `text` if it is an absolute URL with one of `schemes`, a host, and no password.

    Raises `ValueError`, whose message says what is right and does not quote `text`.
    """
    wanted = f"must be a full URL beginning with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme.lower() not in schemes or not parts.hostname or any(char.isspace() for char in text):
        raise ValueError(wanted)
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "must not contain a user name or password: URLs are displayed, secrets have variables of their own"
        )
    return text


HttpUrl = Annotated[str, AfterValidator(lambda text: check_url(text, ("https", "http")))]
SocketUrl = Annotated[str, AfterValidator(lambda text: check_url(text, ("wss", "ws")))]


def _variable(attribute: str, field: FieldInfo) -> Variable:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    shown = extra.get("shown")
    return Variable(
        name=_name(field),
        attribute=attribute,
        default=str(shown) if shown is not None else _shown(field.default),
        meaning=field.description or "",
        is_secret=SecretStr in _types_in(field.annotation),
    )


def _name(field: FieldInfo) -> str:
    return str(field.validation_alias)


def _shown(default: object) -> str:
    match default:
        case None | () | "":
            return "–"
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(map(str, default))}`"
        case float() if default.is_integer():
            return f"`{default:g}`"
        case _:
            return f"`{default}`"


def _types_in(annotation: object) -> set[object]:
    inside = {kind for part in get_args(annotation) for kind in _types_in(part)}
    return inside | {annotation}


def _fault(group: type[Group], name: str, problem: Any, values: Mapping[str, str]) -> Fault:
    field = next(field for field in group.model_fields.values() if _name(field) == name)
    message = str(problem["msg"]).removeprefix("Value error, ")
    wanted = message if problem["type"] == "value_error" else f"must be {_expected(field)}"
    given = values.get(name, "")
    may_hold_a_password = "@" in given and "//" in given
    if SecretStr in _types_in(field.annotation) or may_hold_a_password:
        return Fault(name, wanted)
    return Fault(name, f"{wanted}, not {echo(given)}")


def echo(text: str) -> str:
    """`text` as a fault quotes it: on one line, at most `ECHO_CHARS_MAX` characters."""
    return repr(text if len(text) <= ECHO_CHARS_MAX else text[:ECHO_CHARS_MAX] + "…")


def _expected(field: FieldInfo) -> str:
    """A valid value of `field`, in words."""
    choices = _choices(field.annotation)
    if choices:
        return "one of " + ", ".join(choices)
    kinds = _types_in(field.annotation)
    if bool in kinds:
        return "true or false"
    bounds = _bounds(field)
    if int in kinds or float in kinds:
        return ("a whole number" if int in kinds else "a number") + bounds
    return f"a text whose length is{bounds}" if bounds else "a text"


def _choices(annotation: object) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return next(filter(None, map(_choices, get_args(annotation))), ())
    return ()


def _bounds(field: FieldInfo) -> str:
    low = _constraint(field, "ge", "min_length")
    high = _constraint(field, "le", "max_length")
    match low, high:
        case None, None:
            return ""
        case None, _:
            return f" of at most {high}"
        case _, None:
            return f" of at least {low}"
        case _:
            return f" from {low} to {high}"


def _constraint(field: FieldInfo, *attributes: str) -> object:
    found = [getattr(constraint, name, None) for constraint in field.metadata for name in attributes]
    return next((value for value in found if value is not None), None)
