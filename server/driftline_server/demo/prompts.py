"""The prompts of the application, each with its name and the versions that are live side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from driftline_server.demo.reading import CitedPassage, write_passage

_ANSWER_V13 = (
    "You answer questions about financial documents for Fjordlight, a lender's back office. "
    "Use only the numbered passages. Cite each sentence with the number of its passage in brackets. "
    "If the passages do not say it, answer: The passages do not say."
)
_ANSWER = {
    "v13": _ANSWER_V13,
    "v14": (
        f"{_ANSWER_V13} Write every date as day, month name, year; the country of a passage says how its "
        "dates are written. Quote a passage that is not in English, and lead with the value in English."
    ),
}
_EXTRACT_V6 = (
    "You extract key terms from financial documents. Answer with one JSON object with the fields: {fields}. "
    'Each field is an object {{"value": …, "source": number of the passage}}, or null where the passages '
    "do not say. Write dates as YYYY-MM-DD; the country of a passage says how its dates are written."
)
_EXTRACT = {
    "v6": _EXTRACT_V6,
    "v7": (
        f"{_EXTRACT_V6} Write amounts with the ISO code of their currency. "
        "Write nothing before or after the object."
    ),
}
_REWRITE = (
    "Rewrite the last question of the dialogue so that it can be understood without the dialogue. "
    "Answer with the question only."
)
_SEARCHES = (
    "Write search queries that find the passages of a document which hold the fields: {fields}. "
    "Answer with one query a line, at most five."
)
_NOTICE = (
    "Draft a short letter of termination for the customer {customer}. Use only the numbered passages, "
    "and name the notice period with its passage."
)
CALCULATE = (
    "You calculate for the back office of a lender. Look up every amount, date or rate that the question "
    "does not give with search_documents, and let the tools do all arithmetic. Say which rate and which "
    "passage you used."
)
"""System prompt of the calculating agent, version v5."""
CALCULATE_VERSION = "v5"


def answer_prompt(version: str) -> ChatPromptTemplate:
    """Answers a question from passages; takes ``history``, ``passages`` and ``question``."""
    return _named(
        "answer_prompt",
        version,
        [
            ("system", _ANSWER[version]),
            MessagesPlaceholder("history", optional=True),
            ("human", "Passages:\n{passages}\n\nQuestion: {question}"),
        ],
    )


def extract_prompt(version: str) -> ChatPromptTemplate:
    """Extracts terms as JSON; takes ``fields``, ``passages`` and ``file``."""
    return _named(
        "extract_prompt",
        version,
        [("system", _EXTRACT[version]), ("human", "Passages of {file}:\n{passages}")],
    )


def rewrite_prompt() -> ChatPromptTemplate:
    """Makes a follow-up question stand alone; takes ``history`` and ``question``."""
    return _named(
        "rewrite_prompt",
        "v3",
        [("system", _REWRITE), MessagesPlaceholder("history"), ("human", "{question}")],
    )


def searches_prompt() -> ChatPromptTemplate:
    """Plans the searches for fields; takes ``fields`` and ``file``."""
    return _named("searches_prompt", "v2", [("system", _SEARCHES), ("human", "Document: {file}")])


def notice_prompt() -> ChatPromptTemplate:
    """Drafts a letter of termination; takes ``customer`` and ``passages``."""
    return _named("notice_prompt", "v1", [("system", _NOTICE), ("human", "Passages:\n{passages}")])


def format_passages(documents: Iterable[Document]) -> str:
    """Numbered passages as the prompts show them."""
    return "\n\n".join(
        write_passage(
            CitedPassage(
                number=number,
                file=str(document.metadata["source"]),
                country=str(document.metadata["country"]),
                page=int(document.metadata["page"]),
                heading=str(document.metadata["section"]),
                text=document.page_content,
            )
        )
        for number, document in enumerate(documents, start=1)
    )


def _named(
    name: str, version: str, messages: list[tuple[str, str] | MessagesPlaceholder]
) -> ChatPromptTemplate:
    template = ChatPromptTemplate.from_messages(messages)
    template.name = name
    digest = hashlib.sha256(repr(messages).encode()).hexdigest()[:12]
    template.metadata = {"prompt_name": name, "prompt_version": version, "prompt_hash": digest}
    return template
