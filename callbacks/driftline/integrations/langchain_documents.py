"""The passages that a LangChain retriever found."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any

from driftline.anatomy import items_of, storage_of
from driftline.records import Document
from driftline.snapshot import Copier

_SCORES = ("score", "relevance_score", "_score", "similarity", "similarity_score")
_DISTANCES = ("distance", "_distance")
MAX_DOCUMENTS = 200

CopiedDocument = dict[str, Any]


def copy_documents(documents: Any, copier: Copier) -> list[CopiedDocument]:
    """Copy documents in the order in which the retriever gave them."""
    return [_copy_document(document, copier) for document in islice(items_of(documents), MAX_DOCUMENTS)]


def documents_of(copies: Iterable[CopiedDocument]) -> tuple[Document, ...]:
    """Read copied documents as records; the first has rank 1."""
    return tuple(
        Document(
            text=copied["text"] if isinstance(copied["text"], str) else "",
            id=copied["id"],
            rank=rank,
            score=_number(copied["metadata"], _SCORES),
            distance=_number(copied["metadata"], _DISTANCES),
            metadata=copied["metadata"],
        )
        for rank, copied in enumerate(copies, start=1)
    )


def _copy_document(document: Any, copier: Copier) -> CopiedDocument:
    fields = storage_of(document)
    metadata = copier.copy(fields.get("metadata"))
    document_id = fields.get("id")
    return {
        "text": copier.copy(fields.get("page_content", "")),
        "id": document_id if type(document_id) is str else None,
        "metadata": metadata if isinstance(metadata, dict) else {},
    }


def _number(metadata: dict[str, Any], keys: tuple[str, ...]) -> float | None:
    """A score is only what is named so: vector stores drop it unless the application puts it there."""
    for key in keys:
        value = metadata.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None
