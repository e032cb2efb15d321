"""The documents of the demonstration, and the index over them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from driftline_server.demo.app import require_document
from driftline_server.demo.documents import load_documents
from driftline_server.demo.retriever import shared_index
from driftline_server.demo.terms import FIELDS_BY_TYPE


def test_thirty_documents_of_seven_countries_and_six_types_are_shipped() -> None:
    documents = load_documents()
    assert len(documents) == 30
    assert {document.country for document in documents} == {"DE", "FR", "NL", "IT", "UK", "US", "IE"}
    assert {document.type for document in documents} == set(FIELDS_BY_TYPE)


def test_every_passage_has_an_id_of_its_own_a_page_and_some_text() -> None:
    passages = [passage for document in load_documents() for passage in document.passages]
    assert len({passage.id for passage in passages}) == len(passages) > 180
    assert all(passage.page >= 1 and len(passage.text) > 30 for passage in passages)


def test_documents_speak_five_languages() -> None:
    text = " ".join(passage.text for document in load_documents() for passage in document.passages)
    for words in ("Laufzeit des Darlehens", "régi par le droit", "bedraagt", "Il mutuo scade", "matures on"):
        assert words in text


def test_dates_are_written_as_their_country_writes_them() -> None:
    written = {
        country: " ".join(
            passage.text
            for document in load_documents()
            if document.country == country
            for passage in document.passages
        )
        for country in ("DE", "NL", "FR", "US")
    }
    assert re.search(r"\d\d\.\d\d\.\d{4}", written["DE"])
    assert re.search(r"\d\d-\d\d-\d{4}", written["NL"])
    assert re.search(r"\d\d/\d\d/\d{4}", written["FR"])
    assert "09/03/2031" in written["US"]


@pytest.mark.parametrize(
    ("query", "file", "heading"),
    [
        ("notice period of the tenant", "Huur_Zeeman.pdf", "Opzegging"),
        ("when does the loan mature", "Kreditvertrag_Nordwind.pdf", "Laufzeit"),
        ("financial covenants leverage", "Facility_Harrowgate.pdf", "covenants"),
        ("deductible", "Assurance_RC_Vermeil.pdf", "Franchise"),
    ],
)
def test_the_index_finds_a_passage_across_languages(query: str, file: str, heading: str) -> None:
    found = shared_index().search(query, files=(file,), k=3)
    assert heading in found[0][0].heading
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)


def test_without_files_the_index_searches_all_documents() -> None:
    found = shared_index().search("flood", k=10)
    assert Counter(passage.file for passage, _ in found).keys() == {"Property_Policy_Tamarack.pdf"}


def test_a_query_that_says_nothing_finds_nothing() -> None:
    assert shared_index().search("the of and") == []


def test_a_document_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        require_document("Nowhere.pdf")
