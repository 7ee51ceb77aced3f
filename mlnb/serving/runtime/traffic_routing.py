"""Traffic routing: a shadow whose responses are logged and not returned; a canary for a share of the requests.

Pointers name both as `follow` names the model in use: those of the settings `shadow` and `canary`, or for each model of
a service of several those of its catalog. The canary gets a share of the keys in the header X-Routing-Key, or of the
requests without one, and is withdrawn when it fails or is too slow.
"""

import logging
import threading
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from mlnb.methods.contracts.responses import Response
from mlnb.serving.runtime.http_messages import RequestOptions
from mlnb.serving.runtime.model_catalog import CANARY
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.model_reloader import LoadedModel, ModelReloader
from mlnb.serving.runtime.prometheus_metrics import ServiceMetrics
from mlnb.serving.runtime.structured_logs import log_event

LEAST = 50  # requests of each model before they are compared
ERRORS = 0.02  # share of failures above which the canary is withdrawn
SLOWER = 3.0  # times the mean duration of the current model above which it is
STALLS = 0.1  # share of a model's slowest requests that are left out of its mean: they are due to the machine
EVERY = 10  # requests of the canary between two comparisons
WAITING = 1000  # requests that may wait for the shadow; more are left out, and counted

# options of the request, version, rows, responses, seconds
LogShadow = Callable[[RequestOptions, str, list[Row], Sequence[Response], float], None]


@dataclass
class RequestStatistics:
    """The latest requests of one model.

    Attributes:
        seconds: durations of those with a response.
        failed: whether each of them failed.
        count: of all requests.
    """

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=500))
    failed: deque[bool] = field(default_factory=lambda: deque(maxlen=500))
    count: int = 0

    def add(self, seconds: float, failed: bool) -> None:
        """Add a request."""
        self.count += 1
        self.failed.append(failed)
        if not failed:
            self.seconds.append(seconds)

    def mean_seconds(self) -> float:
        """Return the mean duration in seconds, without the slowest requests; 0 without any."""
        fastest = sorted(self.seconds)[: max(1, round((1 - STALLS) * len(self.seconds)))]
        return sum(fastest) / len(fastest) if fastest else 0.0


class Canary:
    """A model for a share of the keys, until it fails or is too slow.

    Args:
        reloader: of the canary's model.
        share: of the keys, in (0, 0.5].
        metrics: where a withdrawal is counted.
    """

    def __init__(self, reloader: ModelReloader, share: float, metrics: ServiceMetrics) -> None:
        self.reloader, self.share, self.metrics = reloader, share, metrics
        self.measured = ""  # version that the statistics are of
        self.withdrawn = ""  # version that failed or was too slow
        self.suspected = False  # whether the requests before those in the statistics were too slow
        self.own, self.other = RequestStatistics(), RequestStatistics()
        self.lock = threading.Lock()

    def choose(self, key: str, current: LoadedModel) -> LoadedModel | None:
        """Return the canary when this key belongs to its share, else None; the choice for a key does not change."""
        canary = self.reloader.current
        if not self.reloader.named or canary.version in (current.version, self.withdrawn):
            return None
        return canary if zlib.crc32(key.encode()) < self.share * 2**32 else None

    def stop(self) -> None:
        """Stop checking which model it is."""
        self.reloader.stop()

    def record(self, version: str, seconds: float, failed: bool, canary: bool) -> None:
        """Record a request of either model; withdraw the canary when it fails or is too slow.

        It is too slow when the next requests confirm that: a machine that is busy for a moment delays one model alone.
        """
        with self.lock:
            current = self.reloader.current.version
            if canary and version != current:
                return  # of a canary that has been replaced since
            if current != self.measured:
                self.measured, self.own, self.other = current, RequestStatistics(), RequestStatistics()
                self.suspected = False
            (self.own if canary else self.other).add(seconds, failed)
            if not canary or current == self.withdrawn or self.own.count < LEAST or self.own.count % EVERY:
                return
            failures = sum(self.own.failed) / len(self.own.failed)
            if failures <= ERRORS and not self._is_slow():
                return
            milliseconds = 1000 * self.own.mean_seconds()
            self.withdrawn = current
        reason = f"{failures:.1%} of its requests failed" if failures > ERRORS else "it is too slow"
        self.metrics.count_withdrawn(version)
        log_event("canary withdrawn", logging.ERROR, model_version=version, reason=reason, milliseconds=milliseconds)

    def _is_slow(self) -> bool:
        """Return whether the canary was too slow before and is again; durations are collected anew in between."""
        if min(len(self.own.seconds), len(self.other.seconds)) < LEAST:
            return False
        slow = self.own.mean_seconds() > SLOWER * self.other.mean_seconds()
        if slow and not self.suspected:
            self.own.seconds.clear()
            self.other.seconds.clear()
            self.suspected = True
            return False
        self.suspected = slow
        return slow


class Shadow:
    """A model that gets the same requests in a separate thread; its responses are compared and logged, not returned.

    Args:
        reloader: of the shadow's model.
        log: called with each request that the shadow has responded to; None: nothing is logged.
        metrics: where comparisons are counted.
    """

    def __init__(self, reloader: ModelReloader, log: LogShadow | None, metrics: ServiceMetrics) -> None:
        self.reloader, self.log, self.metrics = reloader, log, metrics
        self.waiting: deque[tuple[RequestOptions, list[Row], Sequence[Response]]] = deque()
        self.arrived = threading.Condition()
        self.ending = False
        self.thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self.thread.start()

    def submit(self, request: RequestOptions, rows: list[Row], responses: Sequence[Response], version: str) -> None:
        """Queue a request that the current model, of this version, has responded to."""
        own = self.reloader.current.version
        if not self.reloader.named or own == version:
            return
        with self.arrived:
            if self.ending or len(self.waiting) >= WAITING:
                self.metrics.count("shadowed", "left out", own)
                return
            self.waiting.append((request, rows, responses))
            self.arrived.notify()

    def stop(self) -> None:
        """Refuse further requests; the thread ends once it has responded to those that wait."""
        self.reloader.stop()
        with self.arrived:
            self.ending = True
            self.arrived.notify()

    def close(self) -> None:
        """Respond to what waits, then end."""
        self.stop()
        self.thread.join(10.0)

    def _work(self) -> None:
        while True:
            with self.arrived:
                while not self.waiting and not self.ending:
                    self.arrived.wait()
                if not self.waiting:
                    return
                request, rows, responses = self.waiting.popleft()
            model, start = self.reloader.current, perf_counter()
            try:
                shadow_responses = model.predictor.respond(rows)
                seconds = perf_counter() - start
                for one, other in list(zip(shadow_responses, responses, strict=True)):  # none where the numbers differ
                    same = getattr(one, "prediction", None) == getattr(other, "prediction", None)
                    self.metrics.count("shadowed", "same" if same else "different", model.version)
                if self.log is not None:
                    self.log(request, model.version, rows, shadow_responses, seconds)
            except Exception as error:  # noqa: BLE001 -- whatever a shadow does, the service goes on
                self.metrics.count("shadowed", "failed", model.version)
                names = {"model_version": model.version, "request_id": request.request_id}
                log_event("shadow failed", logging.WARNING, error, hidden=True, **names)


class TrafficRouter:
    """The canary and the shadow of a model; it has neither until `point` names them.

    Args:
        share: of the canary.
        metrics: of the service.
        log: called with each request that the shadow has responded to; None: nothing is logged.

    Attributes:
        canary: None: all requests go to the model in use.
        shadow: None: there is none.
    """

    def __init__(self, share: float, metrics: ServiceMetrics, log: LogShadow | None) -> None:
        self.share, self.metrics, self.log = share, metrics, log
        self.canary: Canary | None = None
        self.shadow: Shadow | None = None

    def point(self, role: str, own: LoadedModel, pointer: Path | None, watch: bool = False) -> bool:
        """Use the model that a pointer names, if it passes its checks; return whether there is one.

        Args:
            role: `canary` or `shadow`.
            own: the model in use, which it may replace.
            pointer: None: there is no model in that role any longer.
            watch: whether to check the pointer for changes from now on.
        """
        used = self.canary if role == CANARY else self.shadow
        if pointer is None:
            if role == CANARY:
                self.canary = None
            else:
                self.shadow = None
            if used is not None:
                used.stop()
            return False
        if used is None:
            reloader = ModelReloader(own, pointer, lambda old, new: None, self.metrics.count_refused_model)
            if role == CANARY:
                self.canary = used = Canary(reloader, self.share, self.metrics)
            else:
                self.shadow = used = Shadow(reloader, self.log, self.metrics)
        else:
            used.reloader.pointer = pointer
        if self.canary is not None:
            self.canary.share = self.share
        if watch:
            used.reloader.start()
        else:
            used.reloader.check()
        return used.reloader.named

    @property
    def withdrawn(self) -> str:
        """The version of the canary that was withdrawn; empty: none was."""
        return self.canary.withdrawn if self.canary is not None else ""

    def withdraw(self, version: str) -> None:
        """Send no request to a version of the canary that was withdrawn before, unless another has been since."""
        if self.canary is not None and not self.canary.withdrawn:
            self.canary.withdrawn = version

    def stop(self) -> None:
        """End both; the shadow first responds to what waits, in its own thread."""
        for one in (self.canary, self.shadow):
            if one is not None:
                one.stop()

    def close(self) -> None:
        """End both as `stop`, and wait for it."""
        self.stop()
        if self.shadow is not None:
            self.shadow.close()
