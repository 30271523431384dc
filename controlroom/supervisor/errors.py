"""What a person typed or configured cannot work: one sentence, exit code 2."""

import argparse
import sys
from typing import NoReturn


class BadInputError(ValueError):
    """One sentence: the argument, its value and what is allowed."""


class Parser(argparse.ArgumentParser):
    """An argument parser that answers with one sentence instead of a usage page."""

    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{self.prog}: {message}; --help lists what is allowed")


def complain(error: Exception | str) -> int:
    """Print the sentence on stderr, without what would steer a terminal, and return exit code 2."""
    sentence = " ".join(str(error).split())
    sys.stderr.write("".join(letter if letter.isprintable() else "?" for letter in sentence) + "\n")
    return 2
