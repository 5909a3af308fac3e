"""What an operator may rely on when a variable is set, wrong, misspelt or secret."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from voice_trio.errors import ConfigurationError
from voice_trio.settings import DEFAULT_INSTRUCTIONS, all_variables, load_settings

SECRET = "a-secret-of-more-than-thirty-two-bytes"
OTHER_SECRET = "another-secret-of-more-than-32-bytes!!"
KEY_SET = {"JWT_JWKS_URL": "https://id.example/keys", "JWT_AUDIENCE": "voice"}


def fault_lines(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(environ)
    return [line.strip() for line in str(raised.value).splitlines()[1:]]


def test_with_nothing_set_the_server_starts_switched_off() -> None:
    settings = load_settings({})

    assert not settings.access.enabled
    assert settings.warnings == ()
    assert settings.instructions == DEFAULT_INSTRUCTIONS
    assert settings.limits.session_seconds == 600
    assert settings.access.allowed_plans == ("elite", "intelia")
    assert settings.web.allowed_origins == ("*",)


def test_an_empty_variable_counts_as_unset() -> None:
    settings = load_settings({"MAX_SESSION_DURATION": "", "OPENAI_API_KEY": "  "})

    assert settings.limits.session_seconds == 600
    assert settings.upstream.api_key is None


def test_all_faults_are_reported_at_once_by_name_with_what_would_be_right() -> None:
    lines = fault_lines(
        {
            "MAX_SESSION_DURATION": "3501",
            "RAG_WAIT_MS": "soon",
            "ENABLE_VOICE_REALTIME": "perhaps",
            "LOG_FORMAT": "xml",
            "PLAN_URL": "ftp://plans",
            "JWT_ALGORITHMS": "HS256,none",
        }
    )

    assert "MAX_SESSION_DURATION: must be a number from 1 to 3500, not '3501'" in lines
    assert "RAG_WAIT_MS: must be a whole number from 0 to 5000, not 'soon'" in lines
    assert "ENABLE_VOICE_REALTIME: must be true or false, not 'perhaps'" in lines
    assert "LOG_FORMAT: must be one of auto, json, pretty, not 'xml'" in lines
    assert any(line.startswith("PLAN_URL: must be a full URL beginning with https:// or http://") for line in lines)
    assert any(line.startswith("JWT_ALGORITHMS: must be a comma-separated list out of HS256") for line in lines)
    assert len(lines) == 6


@pytest.mark.parametrize("text", ["0", "0.999", "3500.1", "-1", "nan", "inf", "-inf", "1e400", "", "ten"])
def test_a_session_lasts_from_1_to_3500_seconds_and_nothing_else(text: str) -> None:
    if not text:
        assert load_settings({"MAX_SESSION_DURATION": text}).limits.session_seconds == 600
        return
    assert fault_lines({"MAX_SESSION_DURATION": text})[0].startswith("MAX_SESSION_DURATION: must be a number")


@pytest.mark.parametrize("name", [variable.name for variable in all_variables()])
@pytest.mark.parametrize("text", ["nan", "inf", "-1", "\x00", "x" * 100_000], ids=["nan", "inf", "-1", "nul", "huge"])
def test_no_text_whatever_crashes_the_loading_or_gets_an_infinite_number_in(name: str, text: str) -> None:
    message = ""
    try:
        values = load_settings({name: text}).described().values()
    except ConfigurationError as error:
        message, values = str(error), {}.values()

    assert all(math.isfinite(value) for value in values if isinstance(value, float))
    assert bool(values) or f"  {name}: " in message
    assert len(message) < 1000


def test_switched_on_without_a_way_to_check_tokens_refuses_to_start() -> None:
    assert fault_lines({"ENABLE_VOICE_REALTIME": "true"}) == [
        "JWT_SECRET: must be set (or JWT_JWKS_URL) while ENABLE_VOICE_REALTIME is on: no token can be verified without"
    ]


def test_a_wrong_key_set_url_is_not_also_reported_as_missing() -> None:
    lines = fault_lines({"ENABLE_VOICE_REALTIME": "true", "JWT_JWKS_URL": "junk"})

    assert len(lines) == 1
    assert lines[0].startswith("JWT_JWKS_URL: ")


@pytest.mark.parametrize(
    ("environ", "algorithms"),
    [
        ({"JWT_SECRET": SECRET}, ("HS256",)),
        (KEY_SET, ("RS256", "ES256")),
        ({"JWT_SECRET": SECRET + OTHER_SECRET, "JWT_ALGORITHMS": "hs512"}, ("HS512",)),
        ({"JWT_SECRET": SECRET} | KEY_SET, ("HS256", "RS256", "ES256")),
        (KEY_SET | {"JWT_ALGORITHMS": "eddsa"}, ("EdDSA",)),
    ],
)
def test_the_algorithms_follow_from_the_keys_there_are(environ: dict[str, str], algorithms: tuple[str, ...]) -> None:
    assert load_settings(environ).tokens.algorithms == algorithms


@pytest.mark.parametrize(
    "environ",
    [
        {"JWT_SECRET": SECRET, "JWT_ALGORITHMS": "HS256,RS256"},
        KEY_SET | {"JWT_ALGORITHMS": "RS256,HS256"},
    ],
)
def test_an_algorithm_without_its_kind_of_key_is_a_fault(environ: dict[str, str]) -> None:
    assert fault_lines(environ)[0].startswith("JWT_ALGORITHMS: must not contain")


def test_a_public_key_is_no_shared_secret() -> None:
    assert fault_lines({"JWT_SECRET": "-----BEGIN PUBLIC KEY-----"})[0].startswith("JWT_SECRET: must be shared secrets")


def test_key_set_only_beside_redis_needs_a_signing_secret_that_instances_share() -> None:
    environ = KEY_SET | {"REDIS_URL": "redis://cache:6379/0"}

    assert fault_lines(environ) == ["VOICE_SIGNING_SECRET: must be set with JWT_JWKS_URL only and REDIS_URL"]
    load_settings({**environ, "VOICE_SIGNING_SECRET": SECRET})
    load_settings({**environ, "REDIS_ENABLED": "false"})


def test_the_signing_secret_is_given_or_derived_from_the_first_secret_or_random() -> None:
    derived = load_settings({"JWT_SECRET": f"{SECRET},{OTHER_SECRET}"}).signing_secret
    again = load_settings({"JWT_SECRET": SECRET}).signing_secret
    given = load_settings({"JWT_SECRET": SECRET, "VOICE_SIGNING_SECRET": OTHER_SECRET}).signing_secret

    assert derived == again
    assert derived.get_secret_value() != SECRET
    assert given.get_secret_value() == OTHER_SECRET
    assert load_settings({}).signing_secret != load_settings({}).signing_secret


def test_secrets_show_in_no_rendering() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-hidden-1",
        "JWT_SECRET": f"{SECRET}-hidden-2,{SECRET}-hidden-3",
        "VOICE_SIGNING_SECRET": f"{SECRET}-hidden-4",
        "WEAVIATE_API_KEY": "hidden-5",
        "REDIS_URL": "redis://:hidden-6@cache",
        "SENTRY_DSN": "https://hidden-7@sentry.example/1",
        "METRICS_TOKEN": "a hidden-8 of more than 16 bytes",
    }
    settings = load_settings(environ)
    derived = load_settings({"JWT_SECRET": SECRET})

    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.described())):
        assert "hidden" not in shown
    assert derived.signing_secret.get_secret_value() not in repr(derived) + derived.model_dump_json()
    assert str(settings.described()["OPENAI_API_KEY"]).strip("*") == ""


def test_a_wrong_secret_is_not_quoted_in_the_fault_nor_in_what_caused_it() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"REDIS_URL": "http://:hidden@cache", "SENTRY_DSN": "hidden", "JWT_SECRET": "-----BEGIN hidden"})

    assert "hidden" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert len(str(raised.value).splitlines()) == 4


def test_a_url_that_carries_a_password_is_refused_without_repeating_it() -> None:
    lines = fault_lines({"PLAN_URL": "https://me:hidden@plans.example/"})

    assert lines[0].startswith("PLAN_URL: must not contain a user name or password")
    assert "hidden" not in lines[0]


def test_everything_is_frozen() -> None:
    settings = load_settings({})

    with pytest.raises(ValidationError):
        settings.limits.sessions_per_hour = 10
    with pytest.raises(ValidationError):
        settings.warnings = ()


def test_a_variable_of_another_command_of_ours_is_no_mistake_F57() -> None:
    names = ("VOICE_URL", "VOICE_TOKEN", "VOICE_ADMIN_URL", "VOICE_ADMIN_TOKEN")
    assert load_settings(dict.fromkeys(names, "a value")).warnings == ()


def test_a_misspelt_name_warns_with_the_name_that_was_meant() -> None:
    warnings = load_settings({"VOICE_ALOWED_PLANS": "gold", "RAG_COLOUR": "red", "PATH": "/bin"}).warnings

    assert warnings == (
        "RAG_COLOUR is not a variable of voice_trio",
        "VOICE_ALOWED_PLANS is not a variable of voice_trio; did you mean VOICE_ALLOWED_PLANS?",
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("OPEN_AI_API_KEY", "OPENAI_API_KEY"),
        ("openai_api_key", "OPENAI_API_KEY"),
        ("WEAVIATE_KEY", "WEAVIATE_API_KEY"),
        ("SENTRY_DNS", "SENTRY_DSN"),
        ("METRIC_TOKEN", "METRICS_TOKEN"),
        ("ALLOWED_ORIGIN", "ALLOWED_ORIGINS"),
        ("KNOWLEDGE_PATHS", "KNOWLEDGE_PATH"),
    ],
)
def test_a_name_like_a_variable_of_ours_is_told_which_one_F56(given: str, meant: str) -> None:
    assert load_settings({given: "a value"}).warnings == (
        f"{given} is not a variable of voice_trio; did you mean {meant}?",
    )


OTHER_NAMES = """
    PATH HOME HOSTNAME USER LANG SHELL PWD EDITOR SUPPORT REPORT BINDIR PYTHONPATH NODE_ENV DYNO WEB_CONCURRENCY
    OPENAI_ORG_ID OPENAI_ORGANIZATION OPENAI_BASE_URL OPENAI_PROJECT_ID OPENAI_WEBHOOK_SECRET AZURE_OPENAI_ENDPOINT
    SENTRY_RELEASE SENTRY_TRACES_SAMPLE_RATE OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT LOG_FILE API_KEY
    KUBERNETES_SERVICE_HOST KUBERNETES_PORT DATABASE_URL APP_URL APP_DOMAIN PUBLIC_URL SECRET_KEY JAVA_HOME
    OPENAI_API_BASE OPENAI_API_TYPE OPENAI_API_VERSION OPENAI_DEFAULT_MODEL WEAVIATE_CLUSTER_URL SENTRY_DEBUG PORTS
    VOICE_TRIO_SERVICE_HOST VOICE_TRIO_SERVICE_PORT_HTTP VOICE_TRIO_PORT VOICE_TRIO_PORT_80_TCP_ADDR REDIS_PORT
    REDIS_SERVICE_PORT WEAVIATE_PORT_8080_TCP ANTHROPIC_API_KEY MISTRAL_API_KEY
    PROMETHEUS_MULTIPROC_DIR SSL_CERT_FILE UV_CACHE_DIR PIP_CONSTRAINT
"""


def test_variables_of_other_programs_and_of_platforms_warn_of_nothing_F56() -> None:
    assert load_settings(dict.fromkeys(OTHER_NAMES.split(), "x")).warnings == ()


def test_a_like_name_beside_the_right_one_is_left_alone_F56() -> None:
    assert load_settings({"OPENAI_API_KEY": "sk-one", "OPENAI_API_KEY_2": "sk-two"}).warnings == ()


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({}, "127.0.0.1:8000"),
        ({"PORT": "8080"}, "0.0.0.0:8080"),
        ({"BIND": "[::]:9000", "PORT": "8080"}, "[::]:9000"),
    ],
)
def test_it_listens_where_bind_or_the_platforms_port_says_F53(environ: dict[str, str], where: str) -> None:
    assert load_settings(environ).web.listen_at == where


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "tcp://10.0.0.1:80"), ("PORT", "0"), ("PORT", "65536"), ("BIND", "8000")]
)
def test_a_bind_or_port_that_is_none_is_named_F53(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}: must be .*{'HOST:PORT' if name == 'BIND' else ''}"):
        load_settings({name: value})


def test_a_wrong_bind_is_quoted_once_F53() -> None:
    assert fault_lines({"BIND": "8000"}) == [
        "BIND: must be HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000, not '8000'"
    ]


def test_lists_are_separated_by_commas_and_stripped() -> None:
    settings = load_settings({"VOICE_BETA_USERS": " ann@example.com, 17 ,,", "ALLOWED_ORIGINS": "https://App.example/"})

    assert settings.access.beta_users == ("ann@example.com", "17")
    assert settings.web.allowed_origins == ("https://app.example",)


@pytest.mark.parametrize(
    "origins", ["app.example.com", "https://app.example/path", "https://a.example,ftp://b.example"]
)
def test_an_origin_has_a_scheme_and_no_path(origins: str) -> None:
    assert fault_lines({"ALLOWED_ORIGINS": origins})[0].startswith("ALLOWED_ORIGINS: ")


def test_choices_may_be_written_in_any_case() -> None:
    settings = load_settings({"LOG_LEVEL": "debug", "VOICE_REASONING_EFFORT": "HIGH"})

    assert settings.observability.log_level == "DEBUG"
    assert settings.voice.reasoning_effort == "high"


def test_instructions_come_from_a_file_where_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "instructions.txt"
    file.write_text("Tu es vétérinaire.\n", encoding="utf-8")

    settings = load_settings({"VOICE_INSTRUCTIONS_FILE": str(file), "VOICE_INSTRUCTIONS": "ignored"})

    assert settings.instructions == "Tu es vétérinaire."
    assert settings.warnings == ("VOICE_INSTRUCTIONS has no effect beside VOICE_INSTRUCTIONS_FILE",)


def test_a_budget_for_each_user_is_recommended_beside_the_days_F14() -> None:
    (warning,) = load_settings({"DAILY_BUDGET_USD": "20"}).warnings
    assert warning.startswith("USER_DAILY_BUDGET_USD is recommended")
    settings = load_settings({"DAILY_BUDGET_USD": "20", "USER_DAILY_BUDGET_USD": "0.5"})
    assert settings.warnings == ()
    assert settings.limits.user_daily_budget_usd == 0.5
    assert load_settings({"SESSION_BUDGET_USD": "1"}).warnings == ()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"x" * 65_537])
def test_an_instructions_file_that_cannot_serve_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "instructions.txt"
    if content is not None:
        file.write_bytes(content)

    assert fault_lines({"VOICE_INSTRUCTIONS_FILE": str(file)})[0].startswith("VOICE_INSTRUCTIONS_FILE: must name")


def test_defaults_of_a_caller_stand_in_for_what_is_unset_and_give_way_to_what_is_set() -> None:
    environ = {"MAX_SESSIONS_PER_USER_PER_HOUR": "7", "VOICE_NAME": ""}

    settings = load_settings(environ, MAX_SESSIONS_PER_USER_PER_HOUR="1000", VOICE_NAME="cedar", JWT_SECRET=SECRET)

    assert settings.limits.sessions_per_hour == 7
    assert settings.voice.name == "cedar"


def test_openai_needs_a_key_and_another_server_may_not() -> None:
    assert not load_settings({}).upstream.is_configured
    assert load_settings({"OPENAI_API_KEY": "sk-x"}).upstream.is_configured
    assert load_settings({"OPENAI_REALTIME_URL": "ws://127.0.0.1:9000/v1/realtime"}).upstream.is_configured
    assert not load_settings(
        {"OPENAI_REALTIME_URL": "wss://x.openai.azure.com/openai/v1/realtime"}
    ).upstream.is_configured
    assert load_settings({"VOICE_UPSTREAM_HEADERS": '{"authorization": "Basic eA=="}'}).upstream.is_configured


@pytest.mark.parametrize("given", ["x", "[]", '{"a": 1}', '{"a b": "c"}', '{"a": "b\\nc"}', '{"Host": "h"}'])
def test_headers_that_cannot_be_sent_stop_the_start_and_are_not_displayed(given: str) -> None:
    (fault,) = fault_lines({"VOICE_UPSTREAM_HEADERS": given})
    assert fault.startswith("VOICE_UPSTREAM_HEADERS: must ")
    assert given not in fault or len(given) == 1


def test_a_price_table_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    assert fault_lines({"VOICE_PRICES_FILE": str(tmp_path / "none.toml")})[0].startswith(
        "VOICE_PRICES_FILE: cannot be read: "
    )
    assert load_settings({"VOICE_PRICES_FILE": "free"}).limits.prices_file == Path("free")
