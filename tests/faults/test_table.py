"""The page of faults has a row of every test that makes one, and no other."""

import ast
from pathlib import Path

from tests.faults import table


def test_every_fault_has_its_row():
    wanted = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and "fault_row" in {each.arg for each in node.args.args}:
                wanted.add(f"{file.name}::{node.name}")
    assert wanted
    assert set(table.rows()) == wanted
