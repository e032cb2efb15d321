"""What every template may use: formatters and the addresses of our files."""

from __future__ import annotations

from flask.blueprints import BlueprintSetupState

from driftline_server.pages import blueprint
from driftline_server.pages.formatting import duration, money, number, plural, tokens
from driftline_server.pages.frame import asset
from driftline_server.pages.quoting import visible


@blueprint.record_once
def equip_templates(state: BlueprintSetupState) -> None:
    """Give the templates their few helpers."""
    environment = state.app.jinja_env
    environment.globals["asset"] = asset
    environment.filters.update(
        visible=visible, duration=duration, number=number, tokens=tokens, money=money, plural=plural
    )
    environment.trim_blocks = True
    environment.lstrip_blocks = True
