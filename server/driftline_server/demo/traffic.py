"""A morning in a lender's back office: who asks what about which document, and what goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle
from typing import Any


class Action(StrEnum):
    """What a user's click starts."""

    ASK = "ask"
    EXTRACT = "extract"
    COVENANTS = "covenants"
    CALCULATE = "calculate"
    PORTFOLIO = "portfolio"
    NOTICE = "notice"

    @property
    def feature(self) -> str:
        """The feature of the application that it belongs to."""
        return _FEATURES[self]

    @property
    def endpoint_class(self) -> str:
        """What its latency is held to."""
        return _ENDPOINT_CLASSES[self]


_FEATURES = {
    Action.ASK: "rag_qa",
    Action.EXTRACT: "extract",
    Action.COVENANTS: "covenants",
    Action.CALCULATE: "fx",
    Action.PORTFOLIO: "extract",
    Action.NOTICE: "notices",
}
_ENDPOINT_CLASSES = {
    Action.ASK: "chat",
    Action.EXTRACT: "interactive",
    Action.COVENANTS: "interactive",
    Action.CALCULATE: "agent",
    Action.PORTFOLIO: "batch",
    Action.NOTICE: "agent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One click of a user, and the weather it meets."""

    action: Action
    question: str
    faults: tuple[int, ...] = ()
    """HTTP statuses with which the provider refuses the first calls."""
    stall_s: float | None = None
    """How long the stream stands still once."""
    fx_timeouts: int = 0
    max_tokens: int = 1024
    leaves_after: int | None = None
    """The user closes the page after so many chunks."""

    @property
    def traces(self) -> int:
        """A notice is two traces: one up to the approval, one after it."""
        return 2 if self.action is Action.NOTICE else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One dialogue of one user about one document or group."""

    number: int
    user: str
    about: str
    """A file name, or a group of companies where the action looks at several documents."""
    turns: tuple[Turn, ...]
    release: str = "2026.47.2"
    environment: str = "production"
    threaded: bool = False
    """Runs on a thread with LangChain's synchronous methods, as a web worker of Flask would."""

    @property
    def answer_version(self) -> str:
        """The older release still has the older prompt."""
        return "v13" if self.release == OLD_RELEASE else "v14"

    @property
    def extract_version(self) -> str:
        """The older release still has the older prompt."""
        return "v6" if self.release == OLD_RELEASE else "v7"


OLD_RELEASE = "2026.47.1"


def ask(question: str, **weather: Any) -> Turn:
    """A question about the document."""
    return replace(Turn(action=Action.ASK, question=question), **weather)


def extract(**weather: Any) -> Turn:
    """The key terms of the document."""
    return replace(Turn(action=Action.EXTRACT, question="Key terms of {about}"), **weather)


def calculate(question: str, **weather: Any) -> Turn:
    """A calculation by the agent."""
    return replace(Turn(action=Action.CALCULATE, question=question), **weather)


def covenants(question: str) -> Turn:
    """A look at the covenants of a group."""
    return Turn(action=Action.COVENANTS, question=question)


def notice(question: str) -> Turn:
    """A letter that a person approves."""
    return Turn(action=Action.NOTICE, question=question)


def portfolio(question: str) -> Turn:
    """The terms of all loans."""
    return Turn(action=Action.PORTFOLIO, question=question)


_DIALOGUES: tuple[tuple[str, str, tuple[Turn, ...]], ...] = (
    ("j.devries", "Huur_Zeeman.pdf", (
        ask("What is the notice period for the tenant?"),
        ask("And for the landlord?"),
        ask("Who pays for repairs of the roof?"),
        ask("Is there a parking space for the tenant?"),
    )),
    ("m.okafor", "Kreditvertrag_Nordwind.pdf", (
        extract(stall_s=1.42),
        ask("Which covenants must the borrower meet, and when are they tested?"),
        ask("How much does a prepayment cost in the first 24 months?"),
        ask("Wer darf das Darlehen kündigen?", leaves_after=14),
    )),
    ("s.rossi", "Mutuo_Aurora.pdf", (
        extract(),
        calculate("How much interest is due on the Aurora loan from 05/05/2026 to 05/11/2026?"),
    )),
    ("i.hansen", "nordwind", (
        covenants("Which covenants of Nordwind are tested next, and when?"),
    )),
    ("l.dubois", "Contrat_Pret_Lyonnais.pdf", (
        ask("When does the loan mature?"),
        ask("What is the notice period for a prepayment?"),
        extract(faults=(429,)),
    )),
    ("r.walsh", "Bridge_Loan_Corrib.pdf", (
        calculate("How many days are there from signing to maturity of the Corrib bridge loan?"),
        ask("What is the interest rate after six months?"),
    )),
    ("a.novak", "Polis_Maas.pdf", (
        ask("Is flood damage to the warehouse covered?"),
        ask("Which perils are insured?"),
        ask("How high is the deductible for storm?"),
    )),
    ("m.okafor", "Kreditvertrag_Nordwind.pdf", (
        calculate("How much is the Nordwind loan in USD and GBP on 31.03.2026?", fx_timeouts=1),
    )),
    ("p.keller", "Buergschaft_Elbe.pdf", (
        extract(faults=(429, 429, 429)),
        extract(),
        ask("What is the maximum amount of the guarantee?"),
    )),
    ("t.reed", "Term_Loan_Tamarack.pdf", (
        ask("When does the term loan mature?"),
        ask("What premium is due for a prepayment in the first year?"),
    )),
    ("i.hansen", "loans", (
        portfolio("Terms of all loans in the book"),
    )),
    ("l.dubois", "Leasing_Rhone.pdf", (
        ask("Who pays for maintenance?"),
        ask("At what price may the lessee buy the equipment?"),
        extract(),
    )),
    ("j.devries", "Huur_Zeeman.pdf", (
        notice("Draft a letter to end the Zeeman lease"),
    )),
    ("e.lindqvist", "Bilancio_Aurora_2025.pdf", (
        ask("How much did revenue grow in 2025?"),
        ask("Which dividend does the board propose?"),
        ask("What about the net debt?", stall_s=1.9),
    )),
    ("r.walsh", "Facility_Harrowgate.pdf", (
        extract(),
        ask("What is the commitment fee?"),
        ask("What are the events of default?", faults=(529,)),
        ask("What are the events of default?"),
    )),
    ("p.keller", "Mietvertrag_Speicher.pdf", (
        ask("Wann endet das Mietverhältnis?"),
        ask("Who pays for small repairs?"),
        extract(),
    )),
    ("t.reed", "tamarack", (
        covenants("Which covenants must Tamarack meet, and what is its total leverage?"),
    )),
    ("a.novak", "Lening_Waterlinie.pdf", (
        calculate("How much is EUR 250,000 in PLN?"),
        ask("What covenants apply to the loan?"),
    )),
    ("s.rossi", "Affitto_Portico.pdf", (
        extract(max_tokens=60),
        extract(),
        ask("What notice must a party give to end the lease?"),
    )),
    ("e.lindqvist", "Annual_Report_Harrowgate_2025.pdf", (
        ask("How large is the deficit of the pension scheme?"),
        ask("How much did revenue grow in 2025?", leaves_after=9),
    )),
    ("m.okafor", "Avalkredit_Spree.pdf", (
        ask("How much of the facility was in use at the end of 2025?"),
        ask("When may cash cover be demanded?"),
    )),
    ("t.reed", "Property_Policy_Tamarack.pdf", (
        ask("Is flood insured, and up to which limit?"),
        extract(),
    )),
    ("r.walsh", "harrowgate", (
        covenants("Which covenants must Harrowgate meet, and what is its net leverage?"),
    )),
    ("p.keller", "Schuldschein_Isar.pdf", (
        ask("How high is the interest rate?"),
        ask("Does the loan have a green margin adjustment?"),
        calculate("How much is the Isar loan in CHF on 30.09.2026?"),
    )),
    ("l.dubois", "Assurance_RC_Vermeil.pdf", (
        ask("How high is the deductible?"),
        notice("Draft a letter to end the liability policy"),
    )),
    ("a.novak", "Fleet_Lease_Polder.pdf", (
        extract(),
        ask("What does a further kilometre cost?"),
    )),
)  # fmt: skip
_OLD_RELEASE_SESSIONS = frozenset({5, 10, 14, 20, 24})
_STAGING_SESSIONS = frozenset({18, 22})
_THREADED_SESSIONS = frozenset({4, 7, 12, 16, 21})


def morning() -> Iterator[Session]:
    """The sessions of a morning, and of the mornings after it, without end."""
    for number, (user, about, turns) in enumerate(cycle(_DIALOGUES), start=1):
        place = (number - 1) % len(_DIALOGUES) + 1
        yield Session(
            number=number,
            user=user,
            about=about,
            turns=turns,
            release=OLD_RELEASE if place in _OLD_RELEASE_SESSIONS else "2026.47.2",
            environment="staging" if place in _STAGING_SESSIONS else "production",
            threaded=place in _THREADED_SESSIONS,
        )


def planned_sessions(traces: int | None) -> list[Session]:
    """The sessions that make at least so many traces, the last one cut short; one morning for ``None``."""
    planned: list[Session] = []
    left = traces if traces is not None else sum(turn.traces for _, _, turns in _DIALOGUES for turn in turns)
    for session in morning():
        if left <= 0:
            break
        turns: list[Turn] = []
        for turn in session.turns:
            if left > 0:
                turns.append(turn)
                left -= turn.traces
        planned.append(replace(session, turns=tuple(turns)))
    return planned
