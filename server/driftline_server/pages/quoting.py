"""Text from outside, made safe to look at: nothing in it acts, and nothing in it hides."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

_NAMES = {
    0x202A: "left-to-right embedding",
    0x202B: "right-to-left embedding",
    0x202C: "end of direction",
    0x202D: "left-to-right override",
    0x202E: "right-to-left override",
    0x2066: "left-to-right isolate",
    0x2067: "right-to-left isolate",
    0x2068: "first strong isolate",
    0x2069: "end of isolate",
    0x00AD: "soft hyphen",
    0x061C: "Arabic letter mark",
    0x180E: "Mongolian vowel separator",
    0x200B: "zero width space",
    0x200E: "left-to-right mark",
    0x200F: "right-to-left mark",
    0x2028: "line separator",
    0x2029: "paragraph separator",
    0x2060: "word joiner",
    0xFEFF: "zero width no-break space",
}
_UNNAMED = {"Cc": "control character", "Co": "private character", "Cs": "half of a character"}
OPEN, CLOSE = "\ue0f0", "\ue0f1"
"""Stand-ins that carry a hidden character through Markdown; from outside they are shown as such."""
HALT = "\ue0f2"
"""Stands in quoted text where a remark of the page goes; from outside it is shown as a sign."""
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\ue0f0-\ue0f2\U000e0000-\U000e007f]"
)
_CARRIED = re.compile(f"{OPEN}([0-9A-F]{{4,6}}){CLOSE}")


def visible(text: str) -> Markup:
    """Escape text for HTML and turn control and direction characters into visible signs."""
    return uncarried(str(escape(carried(text))))


def carried(text: str) -> str:
    """Replace hidden characters by stand-ins that no parser of markup takes for anything else."""
    text = text.replace("\r\n", "\n")
    return HIDDEN.sub(lambda match: f"{OPEN}{ord(match[0]):04X}{CLOSE}", text)


def uncarried(html: str) -> Markup:
    """Turn the stand-ins in safe HTML into visible signs; they stand in text only, never in attributes."""
    return Markup(_CARRIED.sub(lambda match: _sign(int(match[1], 16)), html))


def _sign(code: int) -> str:
    unnamed = _UNNAMED.get(unicodedata.category(chr(code)), "no character")
    name = _NAMES.get(code) or unicodedata.name(chr(code), unnamed).lower()
    return f'<span class="ctl" title="{name}">U+{code:04X}</span>'
