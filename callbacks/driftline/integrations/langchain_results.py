"""What a model gave back: copied at once, read as fields of a run later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from driftline.anatomy import derives_from, plain_text, storage_of
from driftline.integrations.langchain_messages import copy_message, messages_of
from driftline.integrations.langchain_models import copy_response, fingerprint_of, model_answered
from driftline.integrations.langchain_usage import usage_of
from driftline.snapshot import Copier

CopiedResult = dict[str, Any]


def copy_result(result: Any, copier: Copier) -> CopiedResult:
    """Copy an ``LLMResult``; LangChain's cache edits the same object later, so nothing of it is kept."""
    generations = getattr(result, "generations", None) or []
    first = generations[0] if generations else []
    if type(first) is not list:
        first = [first]
    copied: CopiedResult = {"answers": [_copy_generation(each, copier) for each in first]}
    copied["result"] = copy_response(getattr(result, "llm_output", None), copier)
    message = getattr(first[0], "message", None) if first else None
    if message is not None:
        fields = message.__dict__
        copied["id"] = plain_text(fields.get("id"))
        copied["usage"] = copier.copy(fields.get("usage_metadata"))
        copied["response"] = copy_response(fields.get("response_metadata"), copier)
    return copied


def facts_of_result(copied: CopiedResult) -> Mapping[str, Any]:
    """The fields of a run that its result says; what it does not say is ``None``."""
    response, result = copied.get("response") or {}, copied["result"]
    usage = usage_of(
        usage_metadata=copied.get("usage"),
        response_usage=response.get("token_usage") or response.get("usage"),
        result_usage=result.get("token_usage") or result.get("usage"),
    )
    answers = messages_of(copied["answers"])
    return {
        "answers": answers or None,
        "usage": usage,
        "model_answered": model_answered(response, result),
        "provider": response.get("model_provider"),
        "fingerprint": fingerprint_of(response, result, copied.get("id")),
    }


def _copy_generation(generation: Any, copier: Copier) -> dict[str, Any]:
    message = getattr(generation, "message", None)
    info = getattr(generation, "generation_info", None)
    if message is None:
        copied: dict[str, Any] = {"type": "ai", "content": copier.copy(getattr(generation, "text", None))}
    else:
        copied = copy_message(message, copier)
        response = message.__dict__.get("response_metadata")
        info = response if type(response) is dict and response else info
    if type(info) is dict:
        reason = plain_text(info.get("finish_reason")) or plain_text(info.get("stop_reason"))
        if reason is not None:
            copied["finish_reason"] = reason
    return copied


def copy_decision(outputs: Any, copier: Copier) -> Any:
    """Copy what a decision model says of itself: a chain by its events, but charged like a model."""
    if not derives_from(outputs, BaseModel):
        return {}
    fields = storage_of(outputs)
    return copier.copy({key: fields.get(key) for key in ("usage", "model")})


def facts_of_decision(copied: Any) -> Mapping[str, Any]:
    """The fields of a run that a decision model's answer says."""
    return {
        "usage": usage_of(usage_metadata=copied.get("usage"), response_usage=None, result_usage=None),
        "model_answered": model_answered(copied, {}),
    }
