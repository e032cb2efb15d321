"""What a LangChain tool gave back."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import ToolMessage

from driftline.anatomy import derives_from, storage_of
from driftline.records import RunError
from driftline.snapshot import Copier

TOOL_ERROR = "langchain_core.tools.ToolException"
MAX_MESSAGE = 2_000


def tool_failure(output: Any, copier: Copier) -> RunError | None:
    """The error of a tool that turned it into an answer for the model (``handle_tool_error``)."""
    if not derives_from(output, ToolMessage) or storage_of(output).get("status") != "error":
        return None
    content = storage_of(output).get("content")
    text = copier.text(content[:MAX_MESSAGE]) if type(content) is str else "the tool reported an error"
    return RunError(type=TOOL_ERROR, message=text)
