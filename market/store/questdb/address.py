"""Where a QuestDB is, and with which name and password it is spoken to."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from events.paths import DataPaths
from market.store.port import StoreUnavailableError

URL_VARIABLE = "QUESTDB_URL"
URL_FORM = "http://USER:PASSWORD@HOST:9000?pg=8812"
"""The form of QUESTDB_URL: HTTP port before, PostgreSQL port after the question mark; https:// for TLS on both;
&prefix=NAME_ for tables of that beginning."""
PREFIX = re.compile(r"[a-z0-9_]{0,40}")
DEFAULT_HTTP_PORT, DEFAULT_PG_PORT = 9000, 8812


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A QuestDB server; its text names no password."""

    host: str
    http_port: int
    pg_port: int
    user: str
    password: str
    tls: bool = False
    prefix: str = ""  # of every table's name: several stations may share a server

    def __str__(self) -> str:
        return f"QuestDB at {self.host}:{self.http_port}"

    def __repr__(self) -> str:
        return f"Address({self.user}@{self.host}:{self.http_port}, pg={self.pg_port})"


def parse_url(text: str) -> Address:
    """Return the address that a QUESTDB_URL names.

    Raises
    ------
    StoreUnavailableError
        if it is not of the form that ``URL_FORM`` shows; the sentence repeats no password.
    """
    try:
        parts = urlsplit(text)
        given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        address = Address(
            host=parts.hostname or "",
            http_port=parts.port or DEFAULT_HTTP_PORT,
            pg_port=int(given.pop("pg", DEFAULT_PG_PORT)),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tls=parts.scheme == "https",
            prefix=given.pop("prefix", ""),
        )
    except ValueError as error:
        raise StoreUnavailableError(f"{URL_VARIABLE} is not of the form {URL_FORM}") from error
    named = address.host and address.user and address.password and parts.scheme in {"http", "https"}
    if not named or given or parts.path.strip("/") or not 0 < address.pg_port < 65536:
        raise StoreUnavailableError(f"{URL_VARIABLE} is not of the form {URL_FORM}")
    if not PREFIX.fullmatch(address.prefix):
        raise StoreUnavailableError(f"{URL_VARIABLE}: prefix = {address.prefix!r} may have only a to z, 0 to 9 and _")
    return address


def address_file(paths: DataPaths) -> Path:
    """Return where the station's own QuestDB keeps ports, name and password (0600)."""
    return paths.secrets / "questdb.json"


def read_address(paths: DataPaths) -> Address:
    """Return the address of the station's own QuestDB.

    Raises
    ------
    StoreUnavailableError
        if it has never been started in this data directory.
    """
    file = address_file(paths)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Address)
    except (OSError, msgspec.DecodeError) as error:
        raise StoreUnavailableError(f"{file} does not name the station's QuestDB: {error}") from error
