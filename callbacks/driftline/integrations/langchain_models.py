"""Which model was asked, which one answered, and with what settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from driftline.anatomy import plain_text
from driftline.records import Fingerprint, Json
from driftline.snapshot import Copier

_REQUESTED = (
    "model", "model_name", "model_id", "deployment_name", "azure_deployment", "deployment", "engine",
)  # fmt: skip
_SETTINGS = frozenset(
    (
        "temperature", "top_p", "top_k", "n", "seed", "max_tokens", "max_completion_tokens",
        "max_output_tokens", "max_new_tokens", "num_predict", "num_ctx", "stop", "stop_sequences",
        "presence_penalty", "frequency_penalty", "repeat_penalty", "logit_bias", "logprobs", "top_logprobs",
        "response_format", "ls_structured_output_format", "tool_choice", "parallel_tool_calls", "reasoning",
        "reasoning_effort", "effort", "thinking", "verbosity", "stream", "streaming", "stream_usage",
        "service_tier", "truncation", "modalities", "use_responses_api", "output_version",
    )
)  # fmt: skip
"""Everything else in the invocation params may be a header, a key or a client, so it stays at home."""
_TOOL_FIELDS = ("name", "description", "parameters", "input_schema", "strict")
_STANDARD_SETTINGS = {"ls_temperature": "temperature", "ls_max_tokens": "max_tokens", "ls_stop": "stop"}
RESPONSE_FIELDS = (
    "model_name", "model", "model_version", "model_provider", "token_usage", "usage", "system_fingerprint",
    "id", "finish_reason", "stop_reason", "service_tier",
)  # fmt: skip
"""The response metadata that is kept; the rest can hold the provider's headers with its cookies."""
_MSG_PREFIX = re.compile(r"msg_(?:[a-z]+_)?(?:01)?")
_PREFIX = re.compile(r"[A-Za-z]{2,}[-_]")


def model_requested(metadata: Mapping[str, Any], params: Mapping[str, Any], serialized: Any) -> str | None:
    """The name that the application asked for; ``None`` where nothing says it."""
    name = plain_text(metadata.get("ls_model_name"))
    if name is None:
        name = _first_text(params, _REQUESTED)
    if name is None and type(serialized) is dict:
        kwargs = serialized.get("kwargs")
        name = _first_text(kwargs, _REQUESTED) if type(kwargs) is dict else None
    return name


def copy_settings(metadata: Mapping[str, Any], params: Mapping[str, Any], copier: Copier) -> dict[str, Json]:
    """Copy the settings of a call that are known to be harmless."""
    settings = {key: value for key, value in params.items() if key in _SETTINGS and value is not None}
    for key, name in _STANDARD_SETTINGS.items():
        value = metadata.get(key)
        if value is not None:
            settings.setdefault(name, value)
    for key in ("functions", "tools"):
        tools = params.get(key)
        if type(tools) is list and tools:
            settings["tools"] = [_tool(tool) for tool in tools]
    copied = copier.copy(settings)
    return copied if isinstance(copied, dict) else {}


def copy_response(metadata: Any, copier: Copier) -> dict[str, Json]:
    """Copy what a response says of itself."""
    if type(metadata) is not dict:
        return {}
    copied = copier.copy({key: metadata[key] for key in RESPONSE_FIELDS if metadata.get(key) is not None})
    return copied if isinstance(copied, dict) else {}


def model_answered(response: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    """The name under which the provider answered; ``None`` where it gave none."""
    for source in (response, result):
        name = _first_text(source, ("model_name", "model", "model_version"))
        if name is not None:
            return _once(name)
    return None


def fingerprint_of(
    response: Mapping[str, Any], result: Mapping[str, Any], message_id: Any
) -> Fingerprint | None:
    """What gives the model away apart from its name."""
    system = plain_text(response.get("system_fingerprint")) or plain_text(result.get("system_fingerprint"))
    answered = model_answered(response, result)
    response_id = plain_text(response.get("id")) or plain_text(result.get("id")) or plain_text(message_id)
    prefix = id_prefix(response_id)
    system = None if system is None else _once(system)
    if system is None and answered is None and prefix is None:
        return None
    return Fingerprint(system_fingerprint=system, response_model=answered, response_id_prefix=prefix)


def id_prefix(response_id: str | None) -> str | None:
    """The constant part of a provider's response ids; ``None`` for ids that LangChain made itself."""
    if response_id is None or response_id.startswith(("lc_", "run-", "run--")):
        return None
    found = _MSG_PREFIX.match(response_id) or _PREFIX.match(response_id)
    return found.group() if found else None


def _tool(tool: Any) -> Any:
    """The name and schema of a tool: those of hosted servers also carry their credentials."""
    if type(tool) is not dict:
        return tool
    inner = tool.get("function")
    source = inner if type(inner) is dict else tool
    kept = {key: source[key] for key in _TOOL_FIELDS if key in source}
    if type(tool.get("type")) is str:
        kept["type"] = tool["type"]
    return kept


def _once(name: str) -> str:
    """A name once that stands there several times: LangChain joins what each choice of a stream says."""
    period = (name + name).find(name, 1)
    return name[:period]


def _first_text(source: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := plain_text(source.get(key))) is not None), None)
