"""What a LangChain tool gave back."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import ToolMessage

from driftline.records import RunError
from driftline.snapshot import Copier

TOOL_ERROR = "langchain_core.tools.ToolException"
MAX_MESSAGE = 2_000


def tool_failure(output: Any, copier: Copier) -> RunError | None:
    """The error of a tool that turned it into an answer for the model (``handle_tool_error``)."""
    if not issubclass(type(output), ToolMessage) or output.__dict__.get("status") != "error":
        return None
    content = output.__dict__.get("content")
    text = copier.text(content[:MAX_MESSAGE]) if type(content) is str else "the tool reported an error"
    return RunError(type=TOOL_ERROR, message=text)
