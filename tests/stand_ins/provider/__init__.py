"""A stand-in for OpenAI and Anthropic that speaks their HTTP, scripted by the test that talks to it."""

from stand_ins.provider.exchanges import Exchange, Write
from stand_ins.provider.scripts import (
    Answer,
    Block,
    Failure,
    Gate,
    Pace,
    Reasoning,
    Refusal,
    Script,
    Silence,
    Text,
    Tokens,
    ToolUse,
)
from stand_ins.provider.server import Provider

__all__ = [
    "Answer",
    "Block",
    "Exchange",
    "Failure",
    "Gate",
    "Pace",
    "Provider",
    "Reasoning",
    "Refusal",
    "Script",
    "Silence",
    "Text",
    "Tokens",
    "ToolUse",
    "Write",
]
