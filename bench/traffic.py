"""Batches of runs as a retrieval application makes them, ready to be sent."""

from __future__ import annotations

import gzip
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import zstandard

from bench.workload import words
from driftline.records import Document, Kind, Message, Part, Run, Status, Usage
from driftline.wire import encode_batch

RUNS_PER_TRACE = 8
MODEL = "gpt-4o-mini-2024-07-18"


def traces(count: int, *, seed: int = 17) -> Iterator[list[Run]]:
    """Traces of 8 runs with pseudo-words, in which documents flow from run to run as LangChain does it."""
    chance = random.Random(seed)
    now = datetime.now(UTC)
    for number in range(count):
        yield _trace(chance, now - timedelta(milliseconds=20 * (count - number)))


def bodies(runs: list[Run], *, batch: int, encoding: str) -> list[bytes]:
    """The runs in batches, encoded and compressed as the client does it."""
    documents = (
        json.dumps(encode_batch(runs[at : at + batch]), separators=(",", ":")).encode()
        for at in range(0, len(runs), batch)
    )
    if encoding == "gzip":
        return [gzip.compress(each, compresslevel=1) for each in documents]
    return [zstandard.ZstdCompressor(level=1).compress(each) for each in documents]


def _trace(chance: random.Random, started_at: datetime) -> list[Run]:
    root = _id(chance)
    question = words(12, chance)
    documents = tuple(
        Document(id=f"d{chance.randrange(10**6)}", text=words(100, chance), rank=rank, score=1 / rank)
        for rank in (1, 2, 3)
    )
    context = "\n\n".join(each.text for each in documents)
    answer = words(40, chance)
    system = f"Quote the passage that answers.\n\n{context}"
    dialogue = (
        Message(role="system", parts=(Part(type="text", text=system),)),
        Message(role="user", parts=(Part(type="text", text=question),)),
    )
    shared = {"user_id": f"u-{chance.randrange(500)}", "session_id": f"s-{chance.randrange(5000)}"}
    asked, both = {"question": question}, {"context": context, "question": question}
    answers = (Message(role="assistant", parts=(Part(type="text", text=answer),)),)
    usage = Usage(input_tokens=640, output_tokens=chance.randrange(20, 200))
    parts: list[tuple[str, Kind, dict[str, object]]] = [
        ("answer", Kind.CHAIN, {"inputs": asked, "outputs": answer, "feature": "extract", **shared}),
        ("RunnableParallel", Kind.CHAIN, {"inputs": asked, "outputs": both}),
        ("find", Kind.CHAIN, {"inputs": question, "outputs": context}),
        ("Passages", Kind.RETRIEVER, {"inputs": question, "documents": documents}),
        ("join", Kind.CHAIN, {"inputs": [each.text for each in documents], "outputs": context}),
        ("ChatPromptTemplate", Kind.PROMPT, {"inputs": both, "messages": dialogue}),
        (
            "ChatOpenAI", Kind.LLM,
            {"messages": dialogue, "answers": answers, "usage": usage, "provider": "openai",
             "model_requested": "gpt-4o-mini", "model_answered": MODEL},
        ),
        ("StrOutputParser", Kind.PARSER, {"inputs": answer, "outputs": answer}),
    ]  # fmt: skip
    runs = []
    for at, (name, kind, values) in enumerate(parts):
        begun = started_at + timedelta(milliseconds=at)
        duration_ms = 30.0 if at == 0 else chance.uniform(0.1, 20)
        runs.append(
            Run(
                id=root if at == 0 else _id(chance),
                trace_id=root,
                parent_id=None if at == 0 else root,
                project="bench",
                name=name,
                kind=kind,
                status=Status.OK,
                started_at=begun,
                ended_at=begun + timedelta(milliseconds=duration_ms),
                duration_ms=duration_ms,
                revision=1,
                metadata={"ls_integration": "langchain", "step": at},
                **values,  # type: ignore[arg-type]
            )
        )
    return runs


def _id(chance: random.Random) -> str:
    return uuid.UUID(int=chance.getrandbits(128), version=4).hex
