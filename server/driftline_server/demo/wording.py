"""What words mean in a financial document: stems, sentences, and concepts shared by five languages."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from driftline_server.demo.vocabulary import CONCEPTS, STOPWORDS, WHOLE_WORDS

CONCEPT_MARK = "#"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+(?=[\"“„A-ZÀ-Ý£$€])")
_ABBREVIATION = re.compile(r"(?:\b(?:Art|Co|Corp|Inc|No|Nr|bzw|ca|z|S\.r\.l|S\.p\.A|B\.V|N\.V)\.)$")

_BY_PREFIX = sorted(
    ((prefix, concept) for concept, prefixes in CONCEPTS.items() for prefix in prefixes.split()),
    key=lambda pair: -len(pair[0]),
)


def words_of(text: str) -> list[str]:
    """The words of a text, as written."""
    return _WORD.findall(text)


def terms_of(text: str) -> list[str]:
    """The stems of a text without stopwords, each followed by its concept (``#notice``) where it has one."""
    terms: list[str] = []
    for word in words_of(text):
        stem = stem_of(word)
        if not stem:
            continue
        terms.append(stem)
        concept = concept_of(word)
        if concept:
            terms.append(concept)
    return terms


@lru_cache(maxsize=20_000)
def stem_of(word: str) -> str:
    """A crude stem; empty for a stopword."""
    plain = plain_of(word)
    if plain in STOPWORDS or word.lower() in STOPWORDS:
        return ""
    for ending in ("'s", "ing", "ies", "ed", "es", "en", "s", "e", "y"):
        if plain.endswith(ending) and len(plain) - len(ending) >= 4:
            return plain[: -len(ending)]
    return plain


@lru_cache(maxsize=20_000)
def concept_of(word: str) -> str:
    """The concept of a word, such as ``#interest`` for ``Zinsen``; empty where it has none."""
    plain = plain_of(word)
    for prefix, concept in _BY_PREFIX:
        if plain == prefix or (prefix not in WHOLE_WORDS and plain.startswith(prefix)):
            return CONCEPT_MARK + concept
    return ""


def plain_of(word: str) -> str:
    """Lower case, without accents."""
    return "".join(
        each for each in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(each)
    )


def sentences_of(text: str) -> list[str]:
    """The sentences of a passage; ``Officine Aurora S.p.A., Vicenza`` does not end one."""
    sentences: list[str] = []
    for piece in _SENTENCE_END.split(text):
        if sentences and _ABBREVIATION.search(sentences[-1]):
            sentences[-1] += " " + piece
        else:
            sentences.append(piece)
    return sentences


_FOREIGN = re.compile(
    r"\b(?:der|die|das|wird|wurde|endet|beträgt|gilt|nicht|zum|jede|vertrag|est|sont|peut|contrat|loyer|prêt|caution"
    r"|chaque|moyennant|régi|soumis|franchise|scade|contratto|importo|canone|ciascuna|posizione"
    r"|bedraagt|eindigt|huurovereenkomst)\b",
    re.IGNORECASE,
)


def is_english(sentence: str) -> bool:
    """Whether a sentence reads as English; the other languages of the documents give themselves away."""
    return not _FOREIGN.search(sentence)
