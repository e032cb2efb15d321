"""Markdown as people and models write it, rendered so that nothing in it can act or reach out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from driftline_server.pages.halts import Halt, quoted_with, remarked
from driftline_server.pages.quoting import carried, uncarried

_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "span": {"class"}}
_SCHEMES = {"http", "https", "mailto"}
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
"""Quoted headings stand below those of the page."""


def render_markdown(text: str, *, halts: Sequence[Halt] = ()) -> Markup:
    """Render untrusted Markdown: HTML stays text, pictures are not fetched, line breaks survive."""
    html = _PARSER.render(quoted_with(text, halts, carried))
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return remarked(uncarried(clean), halts)


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 40})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _picture_as_words)
    parser.add_render_rule("heading_open", _lowered_heading)
    parser.add_render_rule("heading_close", _lowered_heading)
    return parser


def _picture_as_words(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    """A picture from outside would tell its host who reads this trace, so its address is shown instead."""
    token = tokens[index]
    alt = renderer.renderInlineAsText(token.children or [], options, env)
    words = f"picture, not loaded: {alt or 'no description'} ({token.attrs.get('src', '')})"
    return str(Markup('<span class="not-loaded">{}</span>').format(words))


def _lowered_heading(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    token = tokens[index]
    tag = _HEADINGS.get(token.tag, "h6")
    return f"<{tag}>" if token.nesting == 1 else f"</{tag}>\n"


_PARSER = _make_parser()
