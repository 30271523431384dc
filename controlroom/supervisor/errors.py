"""What a person typed or configured cannot work: one sentence, exit code 2."""

from events.commandline import BadInputError, Parser, complain

__all__ = ["BadInputError", "Parser", "complain"]
