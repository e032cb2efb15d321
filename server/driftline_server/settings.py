"""Every setting of the server: what it is for, what is allowed, and where its value came from.

Sources in order: the command line, the environment (``DRIFTLINE_PORT``), a TOML file (``port = 8321``), the
default. The file is ``--config``, else ``DRIFTLINE_CONFIG``, else ``driftline.toml`` in the data folder.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from driftline.errors import ConfigurationError
from driftline_server.setting_values import About, allowed_values, parse_value, show_value

CONFIG_NAME = "driftline.toml"
DATABASE_NAME = "driftline.db"
MB = 1024 * 1024


def default_data_folder() -> Path:
    """The folder of this user for the data of programs."""
    from platformdirs import user_data_path

    return user_data_path("driftline", appauthor=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one server was told; made by ``load_settings``, or directly where a program knows better."""

    data: Annotated[
        Path,
        About(
            text="The folder that holds the database and its backups.", shown_default="the user's data folder"
        ),
    ] = field(default_factory=default_data_folder)
    config: Annotated[
        Path | None,
        About(
            text="A TOML file with settings.",
            shown_default=f"{CONFIG_NAME} in the data folder, where there is one",
        ),
    ] = None
    database_url: Annotated[
        str,
        About(
            text="Where runs are stored: sqlite:///file or postgresql://user@host/name.",
            shown_default=f"{DATABASE_NAME} in the data folder",
        ),
    ] = ""
    synchronous: Annotated[
        str,
        About(
            text="How SQLite commits: full survives power loss, normal survives a crash of the program.",
            among=("full", "normal"),
        ),
    ] = "full"
    host: Annotated[str, About(text="The address to listen on; any but loopback asks for login.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, About(text="The port to listen on; 0 takes any free one.", between=(0, 65535))] = (
        8321
    )
    insecure: Annotated[
        bool, About(text="Listen on any address without login. Whoever reaches it reads all.")
    ] = False
    allowed_hosts: Annotated[
        tuple[str, ...],
        About(text="Further names that browsers may call this server by, such as traces.example.com."),
    ] = ()
    trusted_proxy: Annotated[
        str,
        About(text="The address of the reverse proxy whose X-Forwarded-For, -Host and -Proto are believed."),
    ] = ""
    threads: Annotated[int, About(text="Requests that are answered at the same time.", between=(1, 256))] = 8
    worker: Annotated[bool, About(text="Run the jobs in this process as well.")] = True
    max_body_bytes: Annotated[
        int, About(text="The largest request body, as it is sent.", between=(1024, 1024 * MB))
    ] = 32 * MB
    max_expanded_bytes: Annotated[
        int, About(text="The largest request body after decompression.", between=(1024, 4096 * MB))
    ] = 64 * MB
    max_waiting_bytes: Annotated[
        int,
        About(
            text="Expanded bodies that are worked on at the same time; above it clients are asked to wait.",
            between=(1024, 65536 * MB),
        ),
    ] = 128 * MB
    max_runs_per_batch: Annotated[
        int, About(text="The most runs in one request.", between=(1, 1_000_000))
    ] = 10_000
    max_page_size: Annotated[
        int, About(text="The most entries on one page of the API.", between=(1, 10_000))
    ] = 500
    silent_after_minutes: Annotated[
        int,
        About(
            text="A running trace that is silent for so long is marked as incomplete.", between=(1, 525_600)
        ),
    ] = 30
    keep_days: Annotated[
        int | None,
        About(text="Forget traces that are older; empty keeps them for ever.", between=(1, 36_500)),
    ] = None
    login_days: Annotated[int, About(text="How long a login lasts.", between=(1, 365))] = 14
    log_level: Annotated[
        str, About(text="How much is logged.", among=("debug", "info", "warning", "error", "critical"))
    ] = "info"
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each value came from: an option, a variable, a file; a default where it is not named."""

    @property
    def store_url(self) -> str:
        """The URL of the store, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data / DATABASE_NAME}"

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        return is_loopback(self.host)

    @property
    def asks_for_login(self) -> bool:
        """Whether pages ask for a password, and programs for an API key."""
        return not (self.listens_on_loopback or self.insecure)

    @property
    def login_lifetime(self) -> timedelta:
        """How long a login lasts."""
        return timedelta(days=self.login_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    """One setting as it is listed for a person."""

    name: str
    value: str
    origin: str
    default: str
    allowed: str
    about: str
    variable: str


def is_loopback(host: str) -> bool:
    """Whether a name or an address to listen on is one of loopback."""
    bare = host.strip("[]").lower()
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"


def load_settings(
    given: Mapping[str, Any] | None = None, *, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read all sources; ``given`` are options of the command line, ``None`` where one is not given.

    Raises:
        ConfigurationError: a value is not allowed, a key is unknown, or the file cannot be read.
    """
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in _ABOUT:
        option, variable = option_of(name), variable_of(name)
        if given and given.get(name) is not None:
            values[name], origins[name] = _parse(name, given[name], option), option
        elif variables.get(variable, "") != "":
            values[name], origins[name] = _parse(name, variables[variable], variable), variable
    path, named = _config_path(values)
    if named or path.is_file():
        for name, value in _read_file(path, named=named).items():
            if name not in values:
                values[name], origins[name] = _parse(name, value, path.name), path.name
        values["config"] = path
    for name in ("data", "config"):
        if name in values:
            values[name] = values[name].absolute()
    return Settings(**values, origins=origins)


def list_settings(settings: Settings) -> tuple[SettingLine, ...]:
    """Every setting with its value and origin, in the order of ``Settings``."""
    return tuple(
        SettingLine(
            name=each.name,
            value=show_value(getattr(settings, each.name)),
            origin=settings.origins.get(each.name, "default"),
            default=_ABOUT[each.name].shown_default or show_value(each.default),
            allowed=allowed_values(_HINTS[each.name], _ABOUT[each.name]),
            about=_ABOUT[each.name].text,
            variable=variable_of(each.name),
        )
        for each in _SETTINGS
    )


def option_of(name: str) -> str:
    """The option of the command line for a setting."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable for a setting."""
    return "DRIFTLINE_" + name.upper()


_SETTINGS = tuple(each for each in fields(Settings) if each.name != "origins")
_HINTS: dict[str, Any] = get_type_hints(Settings)
_ABOUT: dict[str, About] = {
    name: get_args(hint)[1]
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if name != "origins"
}


def _config_path(values: Mapping[str, Any]) -> tuple[Path, bool]:
    """The file to read, and whether somebody named it."""
    if "config" in values:
        return values["config"], True
    return (values.get("data") or default_data_folder()) / CONFIG_NAME, False


def _read_file(path: Path, *, named: bool) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the settings in {path}: {error.strerror}; name another file, or none"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings in {path} are not TOML: {error}") from error
    for key in document:
        if key not in _ABOUT:
            near = difflib.get_close_matches(key, _ABOUT, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see: driftline settings"
            raise ConfigurationError(f"{key!r} in {path.name} is not a setting; {hint}")
    if "config" in document:
        raise ConfigurationError(f"'config' in {path.name} cannot name another file; use --config")
    if "data" in document and not named:
        raise ConfigurationError(
            f"'data' in {path} cannot move the folder that the file lies in; use --data or --config"
        )
    return document


def _parse(name: str, value: Any, origin: str) -> Any:
    hint, about = _HINTS[name], _ABOUT[name]
    try:
        return parse_value(hint, about, value)
    except ValueError:
        raise ConfigurationError(
            f"{name} from {origin} is {show_value(value)!r}; allowed is {allowed_values(hint, about)}"
        ) from None
