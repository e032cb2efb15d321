"""Traces of a fintech application in every state, for tests that look at pages."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.records import a_child, a_run, an_id, said

from driftline.records import (
    Channel,
    Cost,
    Document,
    Event,
    Fingerprint,
    Kind,
    Message,
    Part,
    Prompt,
    Run,
    RunError,
    Score,
    Status,
    TokenTimeline,
    ToolCall,
    Usage,
)
from driftline.timing import Mark, timeline_of

PROJECT = "fin-extract"
SONNET, HAIKU = "claude-sonnet-4-5", "claude-haiku-4-5"
HOSTILE = "<img src=x onerror=alert(1)>"
OVERRIDE = "\u202efdp.tnemeerga"
SYSTEM = """You extract key terms from financial agreements. Use only the numbered passages.
Write every date as day, month name, year. Cite each sentence with the passage number in brackets.
If a passage does not say something, say that it does not.

Terms that are asked for most often: parties, amount, signing date, maturity date, interest, covenants.
""" + "\n".join(f"Rule {n}: keep the wording of the source where a term is defined." for n in range(1, 30))
ANSWER = """The lender grants Nordwind Energie GmbH a **term loan of EUR 42,500,000**. [1] It was signed on \
4 March 2026 and matures on 12 March 2033. [2]

| Term | Value | Passage |
|---|---|---|
| Interest | three-month EURIBOR plus 2.35 % a year | 3 |
| Payment | quarterly in arrears | 3 |
| Net leverage | at or below 3.50 times EBITDA | 4 |

From the second test date, net leverage is tested *twice a year*."""
PASSAGES = (
    (
        "Kreditvertrag_Nordwind.pdf",
        1,
        0.91,
        "Zwischen der Hanse Kreditbank AG (Darlehensgeberin) und der Nordwind Energie "
        "GmbH wird am 4. März 2026 ein Darlehen über EUR 42.500.000 geschlossen.",
    ),
    (
        "Kreditvertrag_Nordwind.pdf",
        6,
        0.84,
        "§ 4 Laufzeit. Die Laufzeit des Darlehens endet am 12.03.2033, sofern nicht "
        "zuvor gekündigt. Eine Verlängerung bedarf der Schriftform.",
    ),
    (
        "Kreditvertrag_Nordwind.pdf",
        8,
        0.82,
        "Der Zinssatz beträgt Dreimonats-EURIBOR zuzüglich 2,35 % p. a.; Zinsen sind "
        "vierteljährlich nachträglich fällig.",
    ),
    (
        "Kreditvertrag_Nordwind.pdf",
        14,
        0.77,
        "Der Nettoverschuldungsgrad darf ab dem zweiten Prüftermin das 3,50-fache des "
        "EBITDA nicht überschreiten.",
    ),
    (
        "Muster_Avalkredit_2024.pdf",
        2,
        0.71,
        "Avale werden mit einer Provision von 0,85 % p. a. vergütet, zahlbar halbjährlich im Voraus.",
    ),
)
QUESTIONS = (
    (
        "What is the notice period for the tenant?",
        "Three months to the end of a calendar quarter, by registered letter.",
    ),
    (
        "How much did revenue grow in 2025?",
        "Revenue grew by 6.4 %, from EUR 118.2 million to EUR 125.8 million.",
    ),
    ("Is flood damage to the warehouse covered?", "The passages do not say whether flood damage is covered."),
    ("Who pays for maintenance?", "The lessee pays for all maintenance except structural repairs."),
    ("Which auditor signed the report?", "The report was signed by the auditor on 14 March 2026."),
    (
        "Which covenants are tested in the next quarter, and on which dates?",
        "Net leverage (at most 3.50) and interest cover (at least 4.0), on 31 March 2026 and on 30 June.",
    ),
    (
        "Wer darf das Darlehen vorzeitig zurückzahlen?",
        "Die Darlehensnehmerin, nach 24 Monaten, mit einer Frist von 30 Tagen, ohne Entschädigung.",
    ),
    (
        "List every financial covenant with its threshold",
        "1. Net leverage ≤ 3.50; 2. interest cover ≥ 4.0; 3. equity ratio ≥ 25 %.",
    ),
)
USERS = ("m.okafor", "l.dubois", "j.van.dijk", "s.weber", "p.rossi")
STACK = """Traceback (most recent call last):
  File "/srv/app/fin_extract/service.py", line 88, in answer
    return chain.invoke({"question": question}, config=config)
  File "/srv/venv/lib/python3.12/site-packages/langchain_core/runnables/base.py", line 3047, in invoke
    input_ = context.run(step.invoke, input_, config, **kwargs)
  File "/srv/app/fin_extract/terms.py", line 141, in parse_terms
    maturity = date.fromisoformat(terms["maturity"])
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.12/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """Every scene with the ids that tests point at."""

    runs: tuple[Run, ...]
    scores: tuple[Score, ...]
    key_terms: str
    answer_run: str
    failed: str
    running: str
    incomplete: str
    cancelled: str
    hostile: str
    deep: str
    big: str


def stream(
    chance: random.Random,
    *,
    wait_ms: float,
    chunks: int,
    stall: tuple[int, float] | None = None,
    reasoning: int = 0,
    gap_ms: float = 14.0,
) -> TokenTimeline:
    """A stream as a provider sends it: a wait, then chunks at uneven gaps, perhaps one stall."""
    at = wait_ms
    marks: list[Mark] = []
    for number in range(chunks):
        if number:
            at += chance.lognormvariate(0, 0.6) * gap_ms
        if stall is not None and number == stall[0]:
            at += stall[1]
        channel = Channel.REASONING if number < reasoning else Channel.TEXT
        marks.append((int(at * 1e6), channel))
    timeline = timeline_of(started_ns=0, marks=marks, output_tokens=chunks)
    assert timeline is not None
    return timeline


def end_of(timeline: TokenTimeline) -> float:
    """When a stream ended, in milliseconds from its start."""
    gaps = (timeline.mean_gap_ms or 0.0) * (timeline.chunks - 1)
    return (timeline.ttft_ms or 0.0) + gaps


def a_model(
    parent: Run,
    chance: random.Random,
    *,
    after_ms: float,
    model: str,
    timeline: TokenTimeline,
    tokens: tuple[int, int],
    question: str,
    answer: str,
    **values: object,
) -> Run:
    """A streamed model run with its dialogue, usage and cost."""
    used, made = tokens
    price = 3.0 if model == SONNET else 1.0
    defaults: dict[str, object] = {
        "kind": Kind.LLM,
        "name": "ChatAnthropic",
        "duration_ms": round(end_of(timeline) + 4.0, 3),
        "model_requested": model,
        "model_answered": model,
        "provider": "anthropic",
        "fingerprint": Fingerprint(response_model=f"{model}-20260115", response_id_prefix="msg_01"),
        "invocation_params": {"max_tokens": 1024, "temperature": 0.0, "stream": True},
        "messages": (said("system", SYSTEM), said("user", question)),
        "answers": (said("assistant", answer),),
        "usage": Usage(input_tokens=used, output_tokens=made, cache_read_tokens=used // 3),
        "cost": Cost(
            total_micro_usd=round(used * price + made * price * 5),
            input_micro_usd=round(used * price),
            output_micro_usd=round(made * price * 5),
            price_source="catalog",
            price_version="2026-11-20",
        ),
        "timeline": timeline,
        "prompt": Prompt(name="key_terms", version="v14", hash="9f2c11aa"),
    }
    return a_child(parent, after_ms=after_ms, **(defaults | values))


def documents(count: int = 5) -> tuple[Document, ...]:
    """What a retriever found."""
    return tuple(
        Document(
            text=text,
            id=f"chunk-{rank:04}",
            rank=rank,
            score=score,
            metadata={"source": source, "page": page, "language": "de"},
        )
        for rank, (source, page, score, text) in enumerate(PASSAGES[:count], start=1)
    )


def key_terms(at: datetime, chance: random.Random) -> tuple[list[Run], Run, Run]:
    """Evidence in parallel, an agent with a retried tool, an answer with a stall."""
    question = (
        "Key terms of the attached loan agreement: parties, amount, signing and maturity date, interest."
    )
    root = a_run(
        project=PROJECT,
        name="key_terms",
        started_at=at,
        duration_ms=9840.0,
        user_id="m.okafor",
        session_id="4417",
        feature="extract",
        release="2026.47.2",
        environment="production",
        tags=("loan", "DE"),
        prompt=Prompt(name="key_terms", version="v14"),
        inputs={"question": question},
        outputs=ANSWER,
        metadata={"document": "Kreditvertrag_Nordwind.pdf", "country": "DE", "pages": 38},
    )
    gather = a_child(root, name="gather_evidence", after_ms=424, duration_ms=1890.0)
    search = a_child(gather, name="search_terms", after_ms=700, duration_ms=974.0)
    agent = a_child(root, name="fx_context", kind=Kind.AGENT, after_ms=2314, duration_ms=2110.0)
    runs = [
        root,
        a_child(root, name="guard_input", kind=Kind.GUARDRAIL, after_ms=4, duration_ms=13.0),
        a_child(
            root,
            name="load_document",
            kind=Kind.TOOL,
            after_ms=20,
            duration_ms=376.0,
            inputs={"path": "Kreditvertrag_Nordwind.pdf"},
            outputs="38 pages",
        ),
        a_child(root, name="split_pages", kind=Kind.PARSER, after_ms=398, duration_ms=23.0),
        gather,
        a_child(gather, name="rewrite_query", kind=Kind.PROMPT, after_ms=2, duration_ms=2.0),
        a_model(
            gather,
            chance,
            after_ms=6,
            model=HAIKU,
            timeline=stream(chance, wait_ms=190, chunks=24),
            tokens=(740, 72),
            question="Write three search queries.",
            answer="maturity date; margin; covenants",
        ),
        search,
    ]
    for name, after, took in (
        ("maturity date", 0, 485.0),
        ("interest margin", 0, 576.0),
        ("covenants", 1, 863.0),
    ):
        found = a_child(
            search,
            name="retrieve",
            kind=Kind.RETRIEVER,
            after_ms=after,
            duration_ms=took,
            inputs=name,
            documents=documents(),
            index_version="2026-11",
        )
        runs.append(found)
        runs.append(a_child(found, name="embed_query", kind=Kind.EMBEDDING, after_ms=4, duration_ms=took / 4))
    runs.append(
        a_child(
            gather, name="rerank", kind=Kind.RERANKER, after_ms=1680, duration_ms=206.0, documents=documents()
        )
    )
    runs.append(agent)
    call = Message(
        role="assistant",
        tool_calls=(
            ToolCall(name="fx_rate", arguments={"currency": "EUR", "on": "2026-03-04"}, id="call_1"),
        ),
    )
    runs.append(
        a_model(
            agent,
            chance,
            after_ms=4,
            model=HAIKU,
            timeline=stream(chance, wait_ms=340, chunks=20),
            tokens=(560, 44),
            question="Which rate applies?",
            answer="",
            answers=(call,),
        )
    )
    runs.append(
        a_child(
            agent,
            name="fx_rate",
            kind=Kind.TOOL,
            after_ms=696,
            duration_ms=650.0,
            status=Status.ERROR,
            inputs={"currency": "EUR", "on": "2026-03-04"},
            error=RunError(type="httpx.ReadTimeout", message="no answer within 650 ms"),
        )
    )
    runs.append(
        a_child(
            agent,
            name="fx_rate",
            kind=Kind.TOOL,
            after_ms=1360,
            duration_ms=196.0,
            inputs={"currency": "EUR", "on": "2026-03-04"},
            outputs={"rate": 1.0842, "source": "ECB"},
            events=(Event(name="retry", offset_ms=0.0, data={"attempt": 2}),),
        )
    )
    turns = (
        said("system", SYSTEM),
        said("user", "Which rate applies?"),
        call,
        replace(said("tool", '{"rate": 1.0842, "source": "ECB"}'), tool_call_id="call_1"),
    )
    runs.append(
        a_model(
            agent,
            chance,
            after_ms=1562,
            model=HAIKU,
            timeline=stream(chance, wait_ms=160, chunks=21),
            tokens=(660, 54),
            question="",
            answer="1.0842 US dollars to the euro.",
            messages=turns,
        )
    )
    answer = a_model(
        root,
        chance,
        after_ms=4430,
        model=SONNET,
        tokens=(3890, 236),
        question=question,
        answer=ANSWER,
        timeline=stream(chance, wait_ms=910, chunks=236, stall=(141, 1410.0), gap_ms=9.5),
        name="answer",
    )
    end_ms = 4430 + (answer.duration_ms or 0.0)
    runs += [
        a_child(root, name="answer_prompt", kind=Kind.PROMPT, after_ms=4426, duration_ms=3.0),
        answer,
        a_child(root, name="parse_terms", kind=Kind.PARSER, after_ms=end_ms + 2, duration_ms=9.0),
        a_child(root, name="faithfulness", kind=Kind.EVALUATOR, after_ms=end_ms + 12, duration_ms=185.0),
        a_child(root, name="guard_output", kind=Kind.GUARDRAIL, after_ms=end_ms + 198, duration_ms=46.0),
    ]
    runs[0] = replace(root, duration_ms=end_ms + 250)
    return runs, runs[0], answer


def ask(at: datetime, chance: random.Random, question: str, answer: str, **values: object) -> list[Run]:
    """A short trace: search, then a streamed answer."""
    user = values.pop("user_id", chance.choice(USERS))
    timeline = stream(chance, wait_ms=chance.uniform(300, 900), chunks=chance.randint(40, 160))
    search_ms = chance.uniform(180, 620)
    took = search_ms + end_of(timeline) + 30
    defaults: dict[str, object] = {
        "project": PROJECT,
        "name": "ask_document",
        "started_at": at,
        "duration_ms": took,
        "user_id": user,
        "session_id": str(chance.randint(4000, 4400)),
        "feature": "rag_qa",
        "release": "2026.47.2",
        "environment": "production",
        "inputs": {"question": question},
        "outputs": answer,
        "tags": (chance.choice(("lease", "report", "insurance")), chance.choice(("NL", "IT", "DE", "FR"))),
    }
    root = a_run(**(defaults | values))
    model = a_model(
        root,
        chance,
        after_ms=search_ms + 10,
        model=SONNET if chance.random() < 0.8 else HAIKU,
        timeline=timeline,
        tokens=(chance.randint(900, 2600), timeline.chunks),
        question=question,
        answer=answer,
    )
    found = a_child(
        root,
        name="retrieve",
        kind=Kind.RETRIEVER,
        after_ms=2,
        duration_ms=search_ms,
        inputs=question,
        documents=documents(3),
    )
    return [root, found, model]


def failed(at: datetime, chance: random.Random) -> list[Run]:
    """A parser that gave up, and the trace with it."""
    runs = ask(at, chance, "Key terms of the attached guarantee", "", name="key_terms", feature="extract")
    error = RunError(
        type="json.decoder.JSONDecodeError", message="Expecting value: line 1 column 1 (char 0)", stack=STACK
    )
    took = runs[0].duration_ms or 0.0
    parser = a_child(
        runs[0],
        name="parse_terms",
        kind=Kind.PARSER,
        after_ms=took,
        duration_ms=12.0,
        status=Status.ERROR,
        error=error,
    )
    runs[0] = replace(runs[0], status=Status.ERROR, error=error, outputs=None, duration_ms=took + 14)
    return [*runs, parser]


def hostile(at: datetime, chance: random.Random) -> list[Run]:
    """Every text is an attack, or at least bad manners."""
    text = f"{HOSTILE} [click](javascript:alert(1)) ![x](https://evil.example/x.png) {OVERRIDE} \x07\u200b"
    word = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz" * 40
    runs = ask(
        at,
        chance,
        text,
        f"{text} {word}",
        name=f"{HOSTILE}{OVERRIDE}",
        user_id=f"{HOSTILE}",
        feature=HOSTILE,
        tags=(HOSTILE, word[:200]),
        metadata={HOSTILE: {"deep": [HOSTILE, OVERRIDE]}},
        session_id=OVERRIDE,
    )
    picture = Part(type="image", url="https://evil.example/pixel.png", media_type="image/png", size_bytes=68)
    tiny = Part(
        type="image",
        media_type="image/png",
        url="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=",
    )
    messages = (
        *runs[2].messages,
        Message(role=HOSTILE, name=OVERRIDE, parts=(Part(type="text", text=text), picture, tiny)),
    )
    return [
        runs[0],
        replace(runs[1], name=HOSTILE),
        replace(runs[2], messages=messages, model_answered=HOSTILE),
    ]


def deep(at: datetime, levels: int = 40) -> list[Run]:
    """A chain within a chain within a chain."""
    runs = [a_run(project=PROJECT, name="nested_graph", started_at=at, duration_ms=4000.0)]
    for level in range(1, levels):
        runs.append(a_child(runs[-1], name=f"step_{level}", after_ms=20, duration_ms=4000.0 - 80 * level))
    return runs


def big(at: datetime, count: int = 1240) -> list[Run]:
    """An agent that searched very often."""
    root = a_run(
        project=PROJECT, name="research_agent", kind=Kind.AGENT, started_at=at, duration_ms=count * 50.0
    )
    runs = [root]
    for number in range(1, count):
        kind = (Kind.RETRIEVER, Kind.TOOL, Kind.CHAIN)[number % 3]
        runs.append(
            a_child(
                root, name=f"{kind.value}_{number}", kind=kind, after_ms=number * 50.0 - 40, duration_ms=38.0
            )
        )
    return runs


def make_scenes(now: datetime) -> Scenes:
    """All scenes, ending at ``now``; the same every time."""
    chance = random.Random(20261124)
    runs: list[Run] = []
    main, root, answer = key_terms(now - timedelta(minutes=14), chance)
    runs += main
    for number, minutes in enumerate(_pace(chance)):
        question, reply = QUESTIONS[number % len(QUESTIONS)]
        runs += ask(now - timedelta(minutes=minutes), chance, question, reply)
    broken = failed(now - timedelta(minutes=17), chance)
    nasty = hostile(now - timedelta(minutes=11), chance)
    waiting = ask(
        now - timedelta(seconds=3.1),
        chance,
        "Key terms of the attached loan agreement",
        "",
        name="key_terms",
        status=Status.RUNNING,
        duration_ms=None,
        outputs=None,
        revision=0,
    )
    waiting[2] = replace(
        waiting[2],
        status=Status.RUNNING,
        duration_ms=None,
        answers=(),
        usage=None,
        cost=None,
        timeline=None,
        revision=0,
    )
    lost = ask(
        now - timedelta(minutes=41),
        chance,
        "Key terms of the attached guarantee",
        "",
        name="key_terms",
        status=Status.INCOMPLETE,
        duration_ms=None,
        outputs=None,
        error=RunError(type="driftline.Silence", message="its end never arrived: the process stopped"),
    )
    lost[2] = replace(
        lost[2],
        status=Status.INCOMPLETE,
        duration_ms=None,
        answers=(),
        usage=None,
        cost=None,
        error=RunError(type="driftline.Silence", message="its end never arrived"),
    )
    stopped = ask(
        now - timedelta(minutes=22), chance, QUESTIONS[6][0], "", status=Status.CANCELLED, outputs=None
    )
    stopped[2] = replace(stopped[2], status=Status.CANCELLED, answers=())
    held = ask(
        now - timedelta(minutes=26),
        chance,
        "Send the reminder to the tenant?",
        "",
        name="send_letter",
        status=Status.INTERRUPTED,
        outputs=None,
    )
    nested, many = deep(now - timedelta(minutes=50)), big(now - timedelta(minutes=75))
    for scene in (broken, nasty, waiting, lost, stopped, held, nested, many):
        runs += scene
    scores = (
        Score(
            id=an_id(900_001),
            trace_id=root.trace_id,
            run_id=answer.id,
            name="faithfulness",
            value=0.94,
            explanation="6 of 7 claims are supported",
            created_at=now,
        ),
        Score(
            id=an_id(900_002),
            trace_id=root.trace_id,
            run_id=answer.id,
            name="citations",
            value=1.0,
            explanation="6 of 6 point at a passage that exists",
            created_at=now,
        ),
    )
    scenes = Scenes(
        runs=tuple(runs),
        scores=scores,
        key_terms=root.trace_id,
        answer_run=answer.id,
        failed=broken[0].id,
        running=waiting[0].id,
        incomplete=lost[0].id,
        cancelled=stopped[0].id,
        hostile=nasty[0].id,
        deep=nested[0].id,
        big=many[0].id,
    )
    return _with_ids_as_in_life(scenes)


def _with_ids_as_in_life(scenes: Scenes) -> Scenes:
    """Ids that look like those of a client, in place of small numbers."""
    known = {run.id: hashlib.md5(run.id.encode(), usedforsecurity=False).hexdigest() for run in scenes.runs}
    runs = tuple(
        replace(
            run,
            id=known[run.id],
            trace_id=known[run.trace_id],
            parent_id=known[run.parent_id] if run.parent_id else None,
        )
        for run in scenes.runs
    )
    scores = tuple(
        replace(score, trace_id=known[score.trace_id], run_id=known[score.run_id or ""])
        for score in scenes.scores
    )
    names = (
        "key_terms",
        "answer_run",
        "failed",
        "running",
        "incomplete",
        "cancelled",
        "hostile",
        "deep",
        "big",
    )
    return replace(scenes, runs=runs, scores=scores, **{name: known[getattr(scenes, name)] for name in names})


def _pace(chance: random.Random) -> Iterator[float]:
    """Minutes ago: busy by day, quiet by night, over the last day."""
    for hour in range(24):
        for _ in range(max(2, round(9 - abs(hour - 3) * 0.5 + chance.uniform(-2, 2)))):
            yield hour * 60 + chance.uniform(1, 59)


def in_batches(runs: Sequence[Run], size: int = 500) -> Iterator[Sequence[Run]]:
    """As a client would send them."""
    for start in range(0, len(runs), size):
        yield runs[start : start + size]
