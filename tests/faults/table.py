"""docs/faults.md: one row a fault, written and checked by the fault's own test."""

import fcntl
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
COLUMNS = ("fault", "orders", "state", "sees", "recovers")
HEAD = "| Fault | Orders and fills | Trading state | What the operator sees | How it recovers | Measured | Test |"
INTRODUCTION = f"""# Faults

What happens when something breaks, as the tests find it. `./station test tests/faults --write-faults` writes it; a
run of the tests fails where a column other than the measured one differs from what they find.
`./station bench faults --loops 300` kills processes at random points for as long as one likes.

{HEAD}
|---|---|---|---|---|---|---|
"""


def rows() -> dict[str, list[str]]:
    """Return test to its columns, as the page has them."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {cells[-1].strip("`"): cells[:-1] for cells in found if cells[-1].startswith("`")}


def write(test: str, columns: dict[str, str], measured: str) -> None:
    """Put one test's row into the page; rows are in the order of their tests."""
    PAGE.touch()
    with PAGE.open("r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)
        known = rows() | {test: [*(columns[name] for name in COLUMNS), measured]}
        body = "".join(f"| {' | '.join(cells)} | `{name}` |\n" for name, cells in sorted(known.items()))
        page.write(INTRODUCTION + body)
        page.truncate()


def check(test: str, columns: dict[str, str]) -> None:
    """Compare a test's findings with its row.

    Raises
    ------
    AssertionError
        if the page has none, or says something else.
    """
    assert set(columns) == set(COLUMNS), f"give {', '.join(COLUMNS)}"
    assert not any("|" in text or "\n" in text for text in columns.values())
    found = dict(zip(COLUMNS, rows().get(test, []), strict=False))
    assert found == columns, f"docs/faults.md says otherwise of {test}: run pytest {test} --write-faults"
