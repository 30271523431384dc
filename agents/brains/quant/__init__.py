"""The quant brain: answers every question of the port from data alone, so that a round always completes."""

from agents.brains.port import (
    ChallengeQuestion,
    Claim,
    Defence,
    DefendQuestion,
    Judgement,
    JudgeQuestion,
    Prediction,
    PredictQuestion,
)
from agents.brains.quant.challenge import challenge
from agents.brains.quant.defend import defend
from agents.brains.quant.forecasts import Forecasts, walk_forward
from agents.brains.quant.judge import judge
from agents.brains.quant.predict import climatologies, predictions
from agents.brains.quant.walk import session_sigma, walk


class QuantBrain:
    """Keeps nothing between questions."""

    name = "quant"

    def predict(self, question: PredictQuestion) -> tuple[Prediction, ...]:
        """Return the entry as of an instant; see ``agents.brains.quant.predict``."""
        return predictions(question.observations, walk_forward(question.observations), question.as_of_ns)

    def challenge(self, question: ChallengeQuestion) -> tuple[Claim, ...]:
        """Return claims about the scenarios that cost the policy most; see ``agents.brains.quant.challenge``."""
        return challenge(question)

    def defend(self, question: DefendQuestion) -> Defence:
        """Return replies from precedents and one revision; see ``agents.brains.quant.defend``."""
        return defend(question)

    def judge(self, question: JudgeQuestion) -> Judgement:
        """Return the checklist's score; see ``agents.brains.quant.judge``."""
        return judge(question)


__all__ = [
    "Forecasts",
    "QuantBrain",
    "climatologies",
    "predictions",
    "session_sigma",
    "walk",
    "walk_forward",
]
