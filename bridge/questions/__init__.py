"""Questions about locks, attempts and events: one core for every door."""

from bridge.questions.core import Answer, Questions, unanswered

__all__ = ["Answer", "Questions", "unanswered"]
