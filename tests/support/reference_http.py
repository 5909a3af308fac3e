"""docs/reference/http.md, made from the OpenAPI document that gateways serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OPENAPI = json.loads(
    (Path(__file__).parents[2] / "voice_trio" / "web" / "static" / "openapi.json").read_text(encoding="utf-8")
)
METHODS = ("get", "put", "post", "delete", "options")
TAGS = {
    "health": "Health and metrics",
    "operators": "For operators",
    "users": "For users",
    "WebSockets": "WebSockets",
    "files": "Files and pages",
}
INTRODUCTION = """\
# HTTP

Every route of a gateway. The same as OpenAPI 3.1: `GET /v1/voice/openapi.json`. Each path is served under the prefixes
that it names, too. Responses are JSON and never cached, files by ETag. An error is
`{"error": {"code": "…", "message": "…"}}`; show the message, let a program read the code.

```sh
export VOICE_ADMIN_TOKEN=$(voice-trio token --user root --admin)     # with a gateway's JWT_SECRET
curl -s -H "Authorization: Bearer $VOICE_ADMIN_TOKEN" http://127.0.0.1:8000/v1/voice/sessions
```
"""
COMMON_STATUSES = ("401", "403", "429", "503")
COMMON = """\
All need an administrator's token, and answer with an [Error](#error) without one: 401 `token_invalid`, 403
`not_allowed`, 429 `rate_limited` after 30 wrong tokens of an address within a minute. 503 `state_unavailable` means
that Redis is unavailable, or the token cannot be checked now."""


def http_page() -> str:
    """The page as Markdown, without its notice."""
    parts = [INTRODUCTION]
    for tag, title in TAGS.items():
        parts += [f"## {title}", COMMON if tag == "operators" else ""]
        for path, item in OPENAPI["paths"].items():
            for method in METHODS:
                if method in item and tag in item[method]["tags"]:
                    parts.append(_operation(method, path, item))
    parts.append("## Objects")
    parts += [_object(name, schema) for name, schema in OPENAPI["components"]["schemas"].items()]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def urls(path: str) -> list[str]:
    """`path` under each of its prefixes."""
    servers = OPENAPI["paths"][path].get("servers", OPENAPI["servers"])
    return [server["url"].rstrip("/") + path for server in servers]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """`part`, or what its `$ref` names."""
    if "$ref" not in part:
        return part
    found: Any = OPENAPI
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def _operation(method: str, path: str, item: dict[str, Any]) -> str:
    operation = item[method]
    prefixes = [url.removesuffix(path) for url in urls(path) if url != path]
    lines = [f"### {method.upper()} {path}", operation["summary"] + " " + operation.get("description", "")]
    facts = []
    if prefixes:
        facts.append("also under " + ", ".join(f"`{prefix}`" for prefix in prefixes))
    names = [name for scheme in operation["security"] for name in scheme if name != "administrator"]
    if names:
        facts.append("token: " + ", ".join(names))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        facts.append("body: " + _shown(body))
    if facts:
        lines.append("- " + "\n- ".join(facts))
    if parameters := [*item.get("parameters", ()), *operation.get("parameters", ())]:
        rows = [f"| `{each['name']}` | {each['in']} | {each.get('description', '–')} |" for each in parameters]
        lines.append("\n".join(["| parameter | in | meaning |", "|---|---|---|", *rows]))
    left_out = COMMON_STATUSES if "operators" in operation["tags"] else ()
    answers = {status: each for status, each in sorted(operation["responses"].items()) if status not in left_out}
    rows = [f"| {status} | {_answer(answer)} |" for status, answer in answers.items()]
    lines.append("\n".join(["| status | answer |", "|---|---|", *rows]))
    return "\n\n".join(line.strip() for line in lines)


def _answer(part: dict[str, Any]) -> str:
    answer = resolved(part)
    content = answer.get("content", {}).get("application/json")
    shown = f"{_shown(content['schema'])}: " if content and content["schema"] != {"type": "object"} else ""
    return shown + str(answer["description"])


def _shown(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "oneOf" in schema:
        return " or ".join(_shown(each) for each in schema["oneOf"])
    kind = schema.get("type", "object")
    if kind == "array":
        return f"list of {_shown(schema['items'])}"
    if "properties" in schema:
        return "`{" + ", ".join(schema["properties"]) + "}`"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _object(name: str, schema: dict[str, Any]) -> str:
    rows = []
    for field, part in schema["properties"].items():
        optional = "" if field in schema["required"] else "?"
        values = ", ".join(f"`{value}`" for value in part.get("enum", ()))
        meaning = " ".join(text for text in (part.get("description", ""), values) if text) or "–"
        rows.append(f"| `{field}`{optional} | {_shown(part)} | {meaning} |")
    return f"### {name}\n\n" + "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])
