"""The documentation's table of denial codes is the one in the code."""

import re
from pathlib import Path

from risk.codes import MEANINGS, STATION_CODES, Code, table

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "denial_codes.md"


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Code)
    assert len(set(MEANINGS.values())) == len(Code)
    assert set(Code) > STATION_CODES


def test_the_document_holds_the_current_table() -> None:
    assert table() in DOCUMENT.read_text()


def test_the_document_names_the_codes_in_their_order_and_no_other() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert named == [code.name for code in Code]
