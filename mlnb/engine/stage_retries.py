"""Stages that are repeated after a transient error: how often, and after which time."""

import random
import time
from collections.abc import Iterable

from mlnb.codec import replace
from mlnb.engine.run_records import StageAttempt
from mlnb.engine.runs import Run, now
from mlnb.engine.stage_jobs import Outcome, OutcomeState

LONGEST = 60.0  # seconds before a repetition
LEAST = 0.5  # share of the time that jitter leaves


class StageRetries:
    """Repeats stages of one run. Waiting times double, and are shortened at random, so that runs do not coincide."""

    def __init__(self, run: Run) -> None:
        """Repeat nothing yet; the settings of the run's project state how often and when."""
        self._run = run
        self._seconds = run.project.settings.retry_seconds
        self._starts: dict[str, float] = {}  # when the next attempt of a stage may start
        self._random = random.Random(run.id)

    def limit(self, stage: str) -> int:
        """Return how often a stage is repeated."""
        project = self._run.project
        return project.stage_retries.get(stage, project.settings.retries)

    def add(self, stage: str, outcome: Outcome) -> StageAttempt | None:
        """Record an attempt that failed, when the stage is to be repeated; return it, or None when it is not."""
        attempts = self._run.stages[stage].attempts
        failed = outcome.state == OutcomeState.FAILED
        if not (failed and outcome.transient) or len(attempts) >= self.limit(stage):
            return None
        longest = min(LONGEST, self._seconds * 2 ** len(attempts))
        wait = longest * self._random.uniform(LEAST, 1.0)
        attempt = StageAttempt(
            started=self._run.stages[stage].started or now(),
            finished=now(),
            error=outcome.error_class.__name__,
            message=outcome.message,
            cell=outcome.cell,
            wait=round(wait, 3),
        )
        self._run.update_stage(stage, attempts=(*attempts, attempt))
        self._run.save()
        self._starts[stage] = time.monotonic() + wait
        return attempt

    def counted(self, stage: str, outcome: Outcome) -> Outcome:
        """Return how a stage ended, with the number of attempts where it was repeated."""
        tried = len(self._run.stages[stage].attempts) + 1
        failed = outcome.state == OutcomeState.FAILED and outcome.transient and tried > 1
        return replace(outcome, message=f"{outcome.message} (tried {tried} times)") if failed else outcome

    def due(self, stages: Iterable[str]) -> list[str]:
        """Return the stages that need not wait any longer."""
        moment = time.monotonic()
        return [stage for stage in stages if self._starts.get(stage, 0.0) <= moment]
