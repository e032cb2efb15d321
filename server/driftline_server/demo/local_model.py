"""What the local model does with a prompt: one task for each kind of prompt that the application has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from driftline_server.demo.planning import PlannedCall, ToolResult, plan_calls, say_results
from driftline_server.demo.reading import answer_question, rank_sentences, read_passages
from driftline_server.demo.terms import extract_terms, write_terms

_SPELL = "Write every date as day, month name, year"
_FIELDS = re.compile(r"fields: ([a-z_]+(?:, [a-z_]+)*)")
_QUERIES = {
    "parties lender borrower landlord tenant insurer guarantor": (
        "lender borrower landlord tenant guarantor beneficiary insurer insured"
    ),
    "amount principal rent sum insured limit": "amount rent sum_insured",
    "interest rate fee premium deductible deposit": "interest fee premium deductible deposit",
    "signed term starts ends maturity expiry": "signed starts ends",
    "notice period cancellation prepayment governing law": "notice governing_law",
    "revenue EBITDA net debt outlook": "revenue ebitda debt outlook",
}
"""What is searched for, and the fields that it finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model answers: text, or calls of tools."""

    text: str = ""
    calls: tuple[PlannedCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialogue:
    system: str = ""
    questions: tuple[str, ...] = ()
    question: str = ""
    results: tuple[ToolResult, ...] = field(default=())


def reply_to(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Reply:
    """Answer the last message; the task is read from the system prompt, as it would be by any model."""
    dialogue = _read(messages)
    system = dialogue.system
    if tools:
        calls = plan_calls(dialogue.question, dialogue.results)
        offered = tuple(call for call in calls if call.name in tools)
        return (
            Reply(calls=offered) if offered else Reply(text=say_results(dialogue.question, dialogue.results))
        )
    if system.startswith("Rewrite the last question"):
        return Reply(text=_stand_alone(dialogue.question, dialogue.questions[:-1]))
    if system.startswith("Write search queries"):
        return Reply(text=_search_queries(_fields_of(system)))
    if "one JSON object" in system:
        return Reply(text=write_terms(extract_terms(_fields_of(system), read_passages(dialogue.question))))
    if system.startswith("Draft a short letter"):
        return Reply(text=_draft_notice(system, dialogue.question))
    passages, _, asked = dialogue.question.rpartition("Question: ")
    return Reply(text=answer_question(asked, read_passages(passages), spelling_dates=_SPELL in system))


def _read(messages: Sequence[BaseMessage]) -> _Dialogue:
    system = "\n".join(str(each.text) for each in messages if isinstance(each, SystemMessage))
    humans = [position for position, each in enumerate(messages) if isinstance(each, HumanMessage)]
    if not humans:
        return _Dialogue(system=system)
    calls = {
        call["id"]: (call["name"], dict(call["args"]))
        for each in messages[humans[-1] :]
        if isinstance(each, AIMessage)
        for call in each.tool_calls
    }
    results = tuple(
        ToolResult(
            name=calls[each.tool_call_id][0],
            arguments=calls[each.tool_call_id][1],
            content=str(each.text),
            failed=each.status == "error",
        )
        for each in messages[humans[-1] :]
        if isinstance(each, ToolMessage) and each.tool_call_id in calls
    )
    questions = tuple(str(messages[position].text) for position in humans)
    return _Dialogue(system=system, questions=questions, question=questions[-1], results=results)


def _fields_of(system: str) -> tuple[str, ...]:
    match = _FIELDS.search(system)
    return tuple(match[1].split(", ")) if match else ()


def _search_queries(fields: Sequence[str]) -> str:
    wanted = [query for query, covers in _QUERIES.items() if set(covers.split()) & set(fields)]
    return "\n".join(wanted[:5])


def _stand_alone(question: str, earlier: Sequence[str]) -> str:
    """``And for the landlord?`` after a question about the tenant asks the same about the landlord."""
    asked = re.sub(r"^(?:and|but|also|then),? ", "", question.strip(), flags=re.IGNORECASE)
    about = re.match(r"(?:what|how) about (?P<what>.+?)\?*$", asked, re.IGNORECASE)
    if about:
        return f"What does the document say about {about['what']}?"
    same = re.match(r"(?P<with>for|by|to|of|at) (?P<what>.+?)\?*$", asked, re.IGNORECASE)
    if same and earlier and asked != question.strip():
        previous = re.sub(r"^(?:and|but) ", "", earlier[-1].rstrip("? "), flags=re.IGNORECASE)
        head = re.split(rf"\b{same['with']}\b", previous, maxsplit=1, flags=re.IGNORECASE)[0].strip()
        return f"{head} {same['with'].lower()} {same['what']}?"
    return asked[:1].upper() + asked[1:]


def _draft_notice(system: str, prompt: str) -> str:
    customer = re.search(r"for the customer (.+?)\. Use", system)
    passages = read_passages(prompt)
    notices = rank_sentences("notice period", ("#notice", "period"), passages)
    parties = extract_terms(("landlord", "insurer"), passages)
    addressee = next((term.value for term in parties.values() if term), "the other party")
    name = customer[1] if customer else "our customer"
    if not notices:
        return f"To {addressee}: the passages do not say how the contract is ended, so no letter was drafted."
    clause = notices[0]
    return (
        f"To {addressee}\n\nOn behalf of {name} we give notice to end the contract at the earliest "
        f"possible date. The contract says: “{clause.text}” [{clause.passage.number}] "
        "Please confirm in writing the date on which the contract ends."
        "\n\nYours faithfully\nFjordlight, back office"
    )
