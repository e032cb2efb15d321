"""Answers a question with the sentences of numbered passages that answer it, and says so where none does."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from driftline_server.demo.values import (
    NOTICE_WORDS,
    find_dates,
    find_durations,
    find_money,
    find_percentages,
    say_date,
    spell_dates,
)
from driftline_server.demo.vocabulary import GENERAL, PARTIES
from driftline_server.demo.wording import (
    CONCEPT_MARK,
    is_english,
    plain_of,
    sentences_of,
    terms_of,
    words_of,
)

NOT_SAID = "The passages do not say"
_CITED = re.compile(
    r"^\[(?P<number>\d+)\] (?P<file>\S+), (?P<country>[A-Z]{2}), page (?P<page>\d+), (?P<heading>.+)$"
)
_LIST = re.compile(r"\b(which|what)( are the)? (\w+s|events of default)\b")
_CONCEPT_WEIGHT = 2.0
_PARTY_WEIGHT = 0.7
_HEADING_SHARE = 0.5
_HEADING_SHARE_IN_LISTS = 0.9
_ANSWERED_SHARE = 0.45
_KEPT_OF_FILE = 0.6
_MOST_OF_FILE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedPassage:
    """A passage as it stands in a prompt, with the number to cite it by."""

    number: int
    file: str
    country: str
    page: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence with the passage that it stands in and how well it fits."""

    text: str
    passage: CitedPassage
    position: int
    score: float


def write_passage(passage: CitedPassage) -> str:
    """A passage as a prompt shows it."""
    head = f"[{passage.number}] {passage.file}, {passage.country}, page {passage.page}, {passage.heading}"
    return f"{head}\n{passage.text}"


def read_passages(prompt: str) -> list[CitedPassage]:
    """The passages that a prompt shows."""
    passages: list[CitedPassage] = []
    lines = prompt.splitlines()
    for head, text in pairwise(lines):
        match = _CITED.match(head)
        if match:
            passages.append(
                CitedPassage(
                    number=int(match["number"]),
                    file=match["file"],
                    country=match["country"],
                    page=int(match["page"]),
                    heading=match["heading"],
                    text=text,
                )
            )
    return passages


def answer_question(question: str, passages: Sequence[CitedPassage], *, spelling_dates: bool = True) -> str:
    """Answer with cited sentences; ``The passages do not say.`` where they do not.

    ``spelling_dates`` writes ``03/09/2026`` as the day that it means in the country of its passage.
    """
    wanted = asked_terms(question, passages)
    ranked = rank_sentences(question, wanted, passages)
    if not ranked:
        return _say_nothing_found(passages)
    files = dict.fromkeys(each.passage.file for each in ranked)
    if len(files) > 1 and _LIST.search(question.lower()):
        chosen = [each for file in files for each in _best_of_file(file, ranked)]
    else:
        chosen = _best_of_all(question, ranked)
    if not _is_answered(wanted, chosen, passages):
        return _say_nothing_found(passages)
    first = chosen[0]
    chosen.sort(
        key=lambda each: (
            each.passage.file != first.passage.file,
            each.passage != first.passage,
            each.passage.number,
            each.position,
        )
    )
    return " ".join(_say(question, each, spelling_dates) for each in chosen)


def _best_of_file(file: str, ranked: Sequence[Sentence]) -> list[Sentence]:
    """A question about several documents is answered from each of them."""
    inside = [each for each in ranked if each.passage.file == file]
    return [each for each in inside if each.score >= inside[0].score * _KEPT_OF_FILE][:_MOST_OF_FILE]


def _best_of_all(question: str, ranked: Sequence[Sentence]) -> list[Sentence]:
    most, same_passage, other_passages = _how_many(question)
    first = ranked[0]
    return [
        each
        for each in ranked
        if each.score >= first.score * (same_passage if each.passage == first.passage else other_passages)
    ][:most]


def asked_terms(question: str, passages: Sequence[CitedPassage]) -> list[str]:
    """What is asked about: the terms of a question without names that only say which document is meant."""
    names = {
        plain_of(word)
        for passage in passages
        for word in words_of(passage.file.rsplit(".", 1)[0].replace("_", " "))
    }
    asked = " ".join(
        word
        for position, word in enumerate(words_of(question))
        if not (plain_of(word.removesuffix("'s")) in names or (position and _is_name(word)))
    )
    return [term for term in dict.fromkeys(terms_of(asked)) if term not in GENERAL]


def rank_sentences(question: str, wanted: Sequence[str], passages: Sequence[CitedPassage]) -> list[Sentence]:
    """All sentences that have something to do with the question, best first."""
    told = [
        (passage, position, text, set(terms_of(text)))
        for passage in passages
        for position, text in enumerate(sentences_of(passage.text))
    ]
    seen = Counter(term for _, _, _, terms in told for term in terms)
    heading_share = _HEADING_SHARE_IN_LISTS if _LIST.search(question.lower()) else _HEADING_SHARE
    ranked = []
    for passage, position, text, terms in told:
        heading = set(terms_of(passage.heading))
        score = 0.0
        for term in wanted:
            weight = _weight(term) * (1 + math.log((len(told) + 1) / (seen[term] + 1)) / 3)
            score += weight if term in terms else weight * heading_share if term in heading else 0.0
        if score:
            score += _fitting_value(question, text, passage.country) + 0.3 / passage.number
            ranked.append(Sentence(text=text, passage=passage, position=position, score=round(score, 4)))
    return sorted(ranked, key=lambda each: (-each.score, each.passage.number, each.position))


def _is_answered(wanted: Sequence[str], chosen: Sequence[Sentence], passages: Sequence[CitedPassage]) -> bool:
    """Whether what is asked about is spoken of at all, and mostly in the chosen sentences."""
    everywhere = {term for passage in passages for term in terms_of(f"{passage.heading} {passage.text}")}
    if any(term.startswith(CONCEPT_MARK) and term not in everywhere for term in wanted):
        return False
    there = {term for each in chosen for term in terms_of(f"{each.passage.heading} {each.text}")}
    asked = [term for term in wanted if term not in PARTIES]
    return sum(map(_weight, there.intersection(asked))) >= _ANSWERED_SHARE * sum(map(_weight, asked))


def _how_many(question: str) -> tuple[int, float, float]:
    """At most how many sentences, and how close to the best they must come, in its passage and in others."""
    asked = question.lower()
    if _LIST.search(asked):
        return 6, 0.5, 0.75
    if _asks_when(asked) or _asks_how_long(asked) or _asks_how_much(asked) or _asks_rate(asked):
        return 2, 0.88, 0.95
    return 3, 0.72, 0.9


def _weight(term: str) -> float:
    if term.startswith(CONCEPT_MARK):
        return _CONCEPT_WEIGHT
    return _PARTY_WEIGHT if term in PARTIES else 1.0


def _is_name(word: str) -> bool:
    return word[:1].isupper() and not word.isupper()


def _fitting_value(question: str, text: str, country: str) -> float:
    """A bonus for a sentence that holds the kind of value which the question asks for."""
    asked = question.lower()
    if _asks_when(asked):
        return 1.6 if find_dates(text, country) else 0.0
    if _asks_how_long(asked):
        return 1.6 if find_durations(text) else 0.0
    if _asks_how_much(asked):
        return 1.6 if find_money(text) else 0.8 if find_percentages(text) else 0.0
    if _asks_rate(asked):
        return 1.2 if find_percentages(text) else 0.0
    return 0.0


def _asks_when(asked: str) -> bool:
    return bool(re.search(r"\b(when|what date|which day|until when|wann|quand)\b", asked))


def _asks_how_long(asked: str) -> bool:
    return bool(re.search(r"\b(how long|notice period|what notice|frist|préavis|within what time)\b", asked))


def _asks_how_much(asked: str) -> bool:
    return bool(
        re.search(
            r"\b(how (much|high|large)|what is the (amount|rent|deposit|premium|deductible|limit))", asked
        )
    )


def _asks_rate(asked: str) -> bool:
    return bool(re.search(r"\b(rate|margin|interest|zins|taux)\b", asked))


def _say(question: str, sentence: Sentence, spelling_dates: bool) -> str:
    cited = f" [{sentence.passage.number}]"
    if is_english(sentence.text):
        body = sentence.text.rstrip()
        if spelling_dates:
            body = spell_dates(body, sentence.passage.country)
        return f"{body[:-1]}{cited}." if body.endswith(".") else f"{body}{cited}"
    value = _value_in_english(question.lower(), sentence)
    quoted = f"“{sentence.text.rstrip('.')}”{cited}."
    return f"{value}: {quoted}" if value else f"The document says: {quoted}"


def _value_in_english(asked: str, sentence: Sentence) -> str:
    text, country = sentence.text, sentence.passage.country
    if _asks_when(asked) and (dates := find_dates(text, country)):
        about_end = "#ends" in terms_of(asked)
        return f"On {say_date(dates[-1 if about_end else 0])}"
    if _asks_how_long(asked) and (durations := find_durations(text, near=NOTICE_WORDS)):
        return durations[0].capitalize()
    if money := find_money(text):
        return str(money[0])
    return ""


def _say_nothing_found(passages: Sequence[CitedPassage]) -> str:
    pages: dict[str, set[int]] = {}
    for passage in passages:
        pages.setdefault(passage.file, set()).add(passage.page)
    looked = "; ".join(f"{file}, page {', '.join(map(str, sorted(each)))}" for file, each in pages.items())
    return f"{NOT_SAID}. I looked in {looked}." if looked else f"{NOT_SAID}: nothing was found."
