"""What is known of one run beside its payload: usage, cost, identity, timing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from driftline.records import Kind, Provenance, Run, Status
from driftline_server.pages.clock import Clock
from driftline_server.pages.formatting import Shown, duration, money, offset, plural, so_far, tokens, word
from driftline_server.pages.quoting import visible
from driftline_server.pages.tree import Node, RunTree
from driftline_server.storage.queries import RunSummary

_PROVENANCES = {
    Provenance.REPORTED: "as the provider reported them",
    Provenance.ESTIMATED: "estimated",
    Provenance.MISSING: "not reported",
}
_PRICES = {
    "catalog": "catalogue",
    "override": "own price, valid from",
    "reported": "as the provider reported it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name and what it is."""

    name: str
    value: Shown | Markup | str
    title: str = ""
    is_code: bool = False


def head_facts(run: Run, node: Node, tree: RunTree, clock: Clock) -> tuple[Fact, ...]:
    """The few facts that stand above the tabs."""
    is_running = run.status is Status.RUNNING
    facts = [
        Fact(name="Starts at", value=offset(node.start_ms)),
        Fact(name="Took", value=took_of(run, clock.now)),
    ]
    if run.kind is Kind.LLM and run.status is Status.OK and run.timeline is None:
        facts.append(Fact(name="First token", value=word("not streamed")))
    usage = run.usage
    if usage is not None and (usage.input_tokens is not None or usage.output_tokens is not None):
        facts.append(Fact(name="Tokens", value=_in_and_out(run)))
        if usage.cache_read_tokens:
            facts.append(Fact(name="From cache", value=tokens(usage.cache_read_tokens)))
        if usage.reasoning_tokens:
            facts.append(Fact(name="Reasoning", value=tokens(usage.reasoning_tokens)))
    elif run.kind is Kind.LLM:
        facts.append(Fact(name="Tokens", value=word("not yet" if is_running else "not reported")))
    if run.kind is Kind.LLM:
        total = run.cost.total_micro_usd if run.cost else None
        facts.append(
            Fact(name="Cost", value=money(total, missing="not yet" if is_running else _no_cost(run)))
        )
    if node.children:
        own = duration(own_time_ms(node, tree))
        facts.append(Fact(name="Own time", value=own, title="not covered by its children"))
    return tuple(facts)


def took_of(run: Run | RunSummary, now: datetime) -> Shown:
    """How long a run took, or has taken so far."""
    if run.duration_ms is None and run.status is Status.RUNNING and run.started_at is not None:
        return so_far(duration(max(0.0, (now - run.started_at) / timedelta(milliseconds=1))))
    return duration(run.duration_ms)


def _no_cost(run: Run) -> str:
    """Why there is no cost: without usage there is nothing to reckon with."""
    usage = run.usage
    return "not reported" if usage is None or usage.output_tokens is None else "unknown price"


def own_time_ms(node: Node, tree: RunTree) -> float | None:
    """How long a run took without the runs below it; ``None`` where it has no start or end."""
    if node.run.duration_ms is None or node.start_ms is None:
        return None
    cursor = node.start_ms
    end = cursor + node.run.duration_ms
    own = 0.0
    for child in (tree.by_id[each] for each in node.children):
        if child.start_ms is None or child.run.duration_ms is None:
            continue
        own += max(0.0, min(child.start_ms, end) - cursor)
        cursor = max(cursor, min(end, child.start_ms + child.run.duration_ms))
    return own + max(0.0, end - cursor)


def timing_facts(run: Run, node: Node, tree: RunTree, clock: Clock) -> tuple[Fact, ...]:
    """When the run was, and how long."""
    facts = [
        Fact(name="Started", value=clock.moment(run.started_at, precise=True)),
        Fact(name="Ended", value=clock.moment(_end_of(run), precise=True)),
        Fact(name="Took", value=took_of(run, clock.now)),
        Fact(name="From the start of the trace", value=offset(node.start_ms)),
    ]
    if node.children:
        facts.append(Fact(name="Own time", value=duration(own_time_ms(node, tree))))
    if node.skew_ms:
        facts.append(Fact(name="Before its parent", value=duration(node.skew_ms)))
    return tuple(facts)


def usage_facts(run: Run) -> tuple[Fact, ...]:
    """Every token count that the provider gave, with where it comes from."""
    usage = run.usage
    if usage is None:
        return ()
    named = (
        ("Input", usage.input_tokens),
        ("Read from cache", usage.cache_read_tokens),
        ("Written to cache", usage.cache_write_tokens),
        ("Written for an hour", usage.cache_write_1h_tokens),
        ("Output", usage.output_tokens),
        ("Reasoning", usage.reasoning_tokens),
        ("Audio in", usage.input_audio_tokens),
        ("Audio out", usage.output_audio_tokens),
    )
    estimated = usage.provenance is Provenance.ESTIMATED
    facts = [Fact(name=name, value=tokens(n, estimated=estimated)) for name, n in named if n is not None]
    origin = "the application's own cache" if usage.from_cache else _PROVENANCES[usage.provenance]
    return (*facts, Fact(name="These figures are", value=origin))


def cost_facts(run: Run) -> tuple[Fact, ...]:
    """What the run cost, split, with the price that it was reckoned by."""
    cost = run.cost
    if cost is None:
        return (Fact(name="Cost", value=word(_no_cost(run))),) if run.kind is Kind.LLM else ()
    named = (
        ("Input", cost.input_micro_usd),
        ("Read from cache", cost.cache_read_micro_usd),
        ("Written to cache", cost.cache_write_micro_usd),
        ("Output", cost.output_micro_usd),
    )
    facts = [Fact(name=name, value=money(each, is_part=True)) for name, each in named if each is not None]
    together = money(cost.total_micro_usd, is_part=bool(facts))
    facts.append(Fact(name="Together" if facts else "Cost", value=together))
    source = _PRICES.get(cost.price_source, cost.price_source)
    if source:
        facts.append(Fact(name="Price", value=visible(f"{source} {cost.price_version}".strip())))
    return tuple(facts)


def identity_facts(run: Run) -> tuple[Fact, ...]:
    """Who made it, with what, for whom; what is not known is left out."""
    prompt, mark = run.prompt, run.fingerprint
    stands_for = plural(round(run.sampling_weight), "trace") if run.sampling_weight > 1 else ""
    in_words = (
        ("Provider", run.provider),
        ("Prompt", f"{prompt.name} {prompt.version}".strip() if prompt else None),
        ("Index version", run.index_version),
        ("User", run.user_id),
        ("Session", run.session_id),
        ("Feature", run.feature),
        ("Endpoint class", run.endpoint_class),
        ("Release", run.release),
        ("Environment", run.environment),
        ("Project", run.project),
        ("Tags", ", ".join(run.tags)),
        ("Stands for", stands_for),
    )
    in_code = (
        *_models(run),
        ("System fingerprint", mark.system_fingerprint if mark else None),
        ("Response ids begin with", mark.response_id_prefix if mark else None),
        ("Template hash", prompt.hash if prompt else None),
    )
    ids = (("Run", run.id), ("Parent", run.parent_id), ("Trace", run.trace_id))
    return (
        *(Fact(name=name, value=visible(value), is_code=True) for name, value in in_code if value),
        *(Fact(name=name, value=visible(value)) for name, value in in_words if value),
        *(Fact(name=name, value=visible(value), is_code=True) for name, value in ids if value),
    )


def _models(run: Run) -> tuple[tuple[str, str | None], ...]:
    """Which model was asked for, which answered, and what the response calls it; each said once."""
    asked, answered = run.model_requested, run.model_answered
    named = run.fingerprint.response_model if run.fingerprint else None
    first = (
        (("Model", asked),)
        if asked == answered
        else (("Model asked for", asked), ("Model answered", answered))
    )
    return first if named == (answered or asked) else (*first, ("Model in the response", named))


def _end_of(run: Run) -> datetime | None:
    if run.ended_at is None and run.started_at is not None and run.duration_ms is not None:
        return run.started_at + timedelta(milliseconds=run.duration_ms)
    return run.ended_at


def _in_and_out(run: Run) -> Markup:
    usage = run.usage
    if usage is None:
        return word("not reported").html
    estimated = usage.provenance is Provenance.ESTIMATED
    return Markup("{} <i>in</i> {} <i>out</i>").format(
        tokens(usage.input_tokens, estimated=estimated, missing="?"),
        tokens(usage.output_tokens, estimated=estimated, missing="?"),
    )
