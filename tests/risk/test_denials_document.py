"""The documentation's table of denial codes is the one in the code."""

import re
from pathlib import Path

from risk.codes import MEANINGS, NAMED, STATION_CODES, Code, named, table

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "denials.md"


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Code)
    assert len(set(MEANINGS.values())) == len(Code)
    assert set(Code) > STATION_CODES


def test_the_headline_is_the_first_in_the_documents_order_and_bits_stay_what_journals_hold() -> None:
    assert [code.value for code in Code] == list(range(len(Code)))
    assert Code.VAR_LIMIT == 24
    several = 1 << Code.VAR_LIMIT | 1 << Code.ORDER_RATE | 1 << Code.MAX_NET
    assert named(several) == [Code.MAX_NET, Code.VAR_LIMIT, Code.ORDER_RATE]


def test_the_document_holds_the_current_table() -> None:
    assert table() in DOCUMENT.read_text()


def test_the_document_names_the_codes_in_their_order_and_no_other() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert listed == [code.name for code in NAMED]
