"""Sets, lists and removes what a model costs, where the catalogue does not know or knows otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, Overflow
from typing import Any

import click
from rich.table import Table

from driftline.errors import DriftlineError
from driftline_server.cli.console import console, plain
from driftline_server.cli.options import ask_before, opened, store_options, yes_option
from driftline_server.cli.root import CONTEXT
from driftline_server.storage.queries import PriceOverride

_HIGHEST_MICRO_USD = 10**12
"""Per million tokens: a million USD, which no model costs."""


def _micro_usd(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A price in USD, such as ``3`` or ``$0.25``, as whole micro-USD."""
    if value is None:
        return None
    try:
        micro = Decimal(value.strip().lstrip("$")) * 1_000_000
    except (InvalidOperation, Overflow):
        micro = Decimal(-1)
    # The bound comes first, because the digits of 1e999999 would take for ever to write.
    if not micro.is_finite() or not 0 <= micro <= _HIGHEST_MICRO_USD or micro != int(micro):
        raise click.BadParameter(
            f"{value!r} is no price such as 3 or 0.25, with at most six decimals and at most "
            f"{_HIGHEST_MICRO_USD // 1_000_000:,}"
        )
    return int(micro)


def _model(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The name of a model, or its beginning with a ``*`` at the end."""
    if not value.strip() or "*" in value[:-1]:
        raise click.BadParameter(
            f"{value!r} is no name of a model, nor a beginning such as 'my-model-*': a * stands at the end"
        )
    return value


@click.group("prices", context_settings=CONTEXT)
def command() -> None:
    """Set, list and remove what a model costs, in USD per million tokens.

    Where nothing is set, prices come from the catalogue of genai-prices.
    """


@command.command("set", short_help="Set the price of a model.")
@click.argument("model", callback=_model)
@click.option(
    "--input",
    "input_price",
    callback=_micro_usd,
    metavar="USD",
    required=True,
    help="Per million tokens of input.",
)
@click.option(
    "--output",
    "output_price",
    callback=_micro_usd,
    metavar="USD",
    required=True,
    help="Per million tokens of output.",
)
@click.option(
    "--cache-read", callback=_micro_usd, metavar="USD", help="Input read from a prompt cache; else as input."
)
@click.option(
    "--cache-write",
    callback=_micro_usd,
    metavar="USD",
    help="Input written to a prompt cache; else as input.",
)
@click.option("--project", default="", help="Only for this project.")
@click.option("--from", "valid_from", type=click.DateTime(), help="Valid from then on, UTC. [now]")
@store_options
def set_price(
    model: str,
    input_price: int,
    output_price: int,
    cache_read: int | None,
    cache_write: int | None,
    project: str,
    valid_from: datetime | None,
    **given: Any,
) -> None:
    """Set the price of MODEL, a name as the provider writes it, or its beginning with a * at the end.

    Runs that are stored already keep their cost.
    """
    with opened(**given) as services:
        since = valid_from.replace(tzinfo=UTC) if valid_from else services.now()
        services.catalog.put_price_override(
            PriceOverride(
                project=project,
                model=model,
                input_micro_usd=input_price,
                output_micro_usd=output_price,
                cache_read_micro_usd=cache_read,
                cache_write_micro_usd=cache_write,
                valid_from=since,
            )
        )
    click.echo(f"{model} costs {_usd(input_price)} in and {_usd(output_price)} out, per million tokens")


@command.command("list")
@store_options
def list_prices(**given: Any) -> None:
    """List the prices that were set."""
    with opened(**given) as services:
        prices = services.catalog.get_price_overrides()
    if not prices:
        click.echo("none set; prices come from the catalogue of genai-prices")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("Model", "Project", "Valid from"):
        table.add_column(name)
    for name in ("Input", "Output", "Cache read", "Cache write"):
        table.add_column(name, justify="right")
    for price in prices:
        table.add_row(
            plain(price.model),
            plain(price.project or "every"),
            plain(price.valid_from.strftime("%Y-%m-%d %H:%M UTC")),
            _usd(price.input_micro_usd),
            _usd(price.output_micro_usd),
            _usd(price.cache_read_micro_usd),
            _usd(price.cache_write_micro_usd),
        )
    out = console()
    out.print(table)
    out.print("USD per million tokens", style="dim")


@command.command("remove", short_help="Remove the prices that were set for a model.")
@click.argument("model")
@click.option("--project", default="", help="The price of this project; else the one for every project.")
@click.option("--from", "valid_from", type=click.DateTime(), help="Only the one valid from then, UTC. [all]")
@yes_option
@store_options
def remove_price(model: str, project: str, valid_from: datetime | None, yes: bool, **given: Any) -> None:
    """Remove the prices that were set for MODEL, as `driftline prices list` writes it.

    The catalogue holds again for runs to come; runs that are stored already keep their cost.
    """
    from driftline_server.pages.formatting import plural

    with opened(**given) as services:
        found = [
            price
            for price in services.catalog.get_price_overrides()
            if (price.model, price.project) == (model, project)
            and (valid_from is None or _to_the_minute(price.valid_from) == _to_the_minute(valid_from))
        ]
        if not found:
            where = f" in {project}" if project else " for every project"
            raise DriftlineError(f"no such price of {model} is set{where}: see driftline prices list")
        ask_before(f"Remove {plural(len(found), 'price')} of {model}?", yes=yes)
        for price in found:
            services.catalog.remove_price_override(price)
    click.echo(f"removed {plural(len(found), 'price')} of {model}")


def _to_the_minute(moment: datetime) -> datetime:
    """As the list shows it."""
    return moment.replace(second=0, microsecond=0, tzinfo=UTC)


def _usd(micro: int | None) -> str:
    return "as input" if micro is None else f"${(Decimal(micro) / 1_000_000).normalize():f}"
