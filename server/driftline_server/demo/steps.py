"""Steps and parsers of the application's chains, named so that a trace can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from langchain_core.exceptions import OutputParserException
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

State: TypeAlias = dict[str, Any]
Step: TypeAlias = Runnable[Any, Any]
Part: TypeAlias = "Step | Callable[[Any], Any]"


def adding(key: str, *parts: Part, name: str) -> Step:
    """A step that sends the state through some parts in turn, and keeps the result under a key."""

    def add(state: State, config: RunnableConfig) -> State:
        value: Any = state
        for part in parts:
            value = part.invoke(value, config) if isinstance(part, Runnable) else part(value)
        return {**state, key: value}

    async def aadd(state: State, config: RunnableConfig) -> State:
        value: Any = state
        for part in parts:
            value = await part.ainvoke(value, config) if isinstance(part, Runnable) else part(value)
        return {**state, key: value}

    return RunnableLambda(add, aadd, name=name)


class TermsParser(BaseOutputParser[dict[str, Any]]):
    """Reads the JSON of extracted terms; an object that was cut off is an error, not a shorter object."""

    def parse(self, text: str) -> dict[str, Any]:
        """Read an answer, with or without a code fence around it.

        Raises:
            OutputParserException: it is no JSON object of terms.
        """
        written = re.sub(r"^```(?:json)?|```$", "", text.strip()).strip()
        try:
            terms = json.loads(written)
        except ValueError as error:
            raise OutputParserException(
                f"the terms are no whole JSON object: {error}", llm_output=text
            ) from error
        if not isinstance(terms, dict) or not all(
            term is None or isinstance(term, dict) for term in terms.values()
        ):
            raise OutputParserException("the terms are not an object of objects", llm_output=text)
        return terms
