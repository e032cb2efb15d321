"""A retrieval chain, traced: find passages, ask a model about them, stream its answer.

python examples/langchain_rag.py "Which law governs the guarantee?"
"""

from __future__ import annotations

import re
import sys

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableConfig, RunnablePassthrough
except ModuleNotFoundError as missing:
    sys.exit(
        f"This example needs {missing.name}: install Driftline with the extra [demo], as README.md shows."
    )
from showing import choose_model, read_command_line, traced

PASSAGES = {
    "facility.md": "The facility matures on 04/03/2031. Interest is EURIBOR plus 2.15 percent a year.",
    "guarantee.md": "The guarantee is governed by German law. The guarantor pays on first demand.",
    "covenants.md": "Net debt may not exceed 3.5 times EBITDA. The covenant is tested each quarter.",
    "lease.md": "The lease of the warehouse ends on 30/06/2028. Rent rises with consumer prices.",
}
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer in one sentence, from these passages:\n{passages}"), ("human", "{question}")]
)


class PassageRetriever(BaseRetriever):
    """Ranks passages by the share of the question's words that they contain."""

    k: int = 2

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        wanted = set(re.findall(r"\w{3,}", query.lower()))
        found = [
            Document(text, id=name, metadata={"source": name, "score": _share(wanted, text)})
            for name, text in PASSAGES.items()
        ]
        return sorted(found, key=lambda document: -document.metadata["score"])[: self.k]


def _share(wanted: set[str], text: str) -> float:
    return len(wanted & set(re.findall(r"\w{3,}", text.lower()))) / max(1, len(wanted))


def _joined(documents: list[Document]) -> str:
    return "\n".join(document.page_content for document in documents)


def main() -> None:
    asked = read_command_line(__doc__, "When does the facility mature?")
    gathered = {"passages": PassageRetriever() | _joined, "question": RunnablePassthrough()}
    chain = gathered | PROMPT | choose_model(live=asked.live) | StrOutputParser()
    with traced() as handler:
        config: RunnableConfig = {
            "callbacks": [handler],
            "run_name": "explain_terms",
            "metadata": {"user_id": "u-42", "session_id": "s-7", "feature": "terms", "prompt_version": "3"},
        }
        for text in chain.stream(asked.question, config):
            print(text, end="", flush=True)


if __name__ == "__main__":
    main()
