"""Models beside the one in charge: a shadow answers unheard, a canary answers some and is withdrawn when it does badly.

`MLNB_SHADOW` and `MLNB_CANARY` name pointers as `MLNB_FOLLOW` does; `MLNB_CANARY_SHARE` is the share of the keys, in
the header X-Routing-Key, else of the requests, that the canary answers.
"""

import logging
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from mlnb.methods.contracts.responses import Response
from mlnb.serving.runtime.model_reloader import Followed, Live
from mlnb.serving.runtime.prometheus_metrics import Meters
from mlnb.serving.runtime.service_parts import Row
from mlnb.serving.runtime.structured_logs import log

SHADOW, CANARY, SHARE = "MLNB_SHADOW", "MLNB_CANARY", "MLNB_CANARY_SHARE"
LEAST = 50  # requests of either before they are compared
ERRORS = 0.02  # share of failures from which the canary is withdrawn
SLOWER = 3.0  # times the other's usual time from which it is
STALLS = (
    0.1  # share of a model's slowest requests that are left out of its usual time: the machine's doing, not its own
)
EVERY = 10  # requests of the canary between two comparisons
WAITING = 1000  # requests that may wait for the shadow; more are left out, and counted

Note = Callable[[str, str, list[Row], Sequence[Response], float], None]  # request, version, rows, responses, seconds


@dataclass
class Account:
    """What became of the newest requests of one model.

    Attributes:
        count: of all requests.
    """

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=500))
    failed: deque[bool] = field(default_factory=lambda: deque(maxlen=500))
    count: int = 0

    def add(self, seconds: float, failed: bool) -> None:
        """Note a request."""
        self.count += 1
        self.failed.append(failed)
        if not failed:
            self.seconds.append(seconds)

    def usual(self) -> float:
        """Mean time of the requests that were answered, the slowest left out, in seconds; 0 without any."""
        kept = sorted(self.seconds)[: max(1, round((1 - STALLS) * len(self.seconds)))]
        return sum(kept) / len(kept) if kept else 0.0


class Canary:
    """A model that answers a share of the keys, until it fails or is too slow."""

    def __init__(self, followed: Followed, share: float, meters: Meters) -> None:
        if not 0 < share <= 0.5:
            raise ValueError(f"{SHARE} is {share:g}; expected a share above 0 and at most 0.5.")
        self.followed, self.share, self.meters = followed, share, meters
        self.judged = ""  # version that the accounts are of
        self.withdrawn = ""  # version that did badly
        self.own, self.other = Account(), Account()
        self.lock = threading.Lock()

    def live(self, key: str, champion: Live) -> Live | None:
        """Return the canary when it is to answer this key; the same key is answered by the same model."""
        live = self.followed.live
        if live.version in (champion.version, self.withdrawn):
            return None
        return live if zlib.crc32(key.encode()) < self.share * 2**32 else None

    def note(self, version: str, seconds: float, failed: bool, canary: bool) -> None:
        """Note a request of either model, and withdraw the canary when it does badly."""
        with self.lock:
            current = self.followed.live.version
            if current != self.judged:
                self.judged, self.own, self.other = current, Account(), Account()
            (self.own if canary else self.other).add(seconds, failed)
            if not canary or current == self.withdrawn or self.own.count < LEAST or self.own.count % EVERY:
                return
            failures = sum(self.own.failed) / len(self.own.failed)
            slow = len(self.other.seconds) >= LEAST and self.own.usual() > SLOWER * self.other.usual()
            if failures <= ERRORS and not slow:
                return
            self.withdrawn = current
        why = f"{failures:.1%} of its requests failed" if failures > ERRORS else "it is too slow"
        self.meters.count("swaps", "withdrawn")
        log("canary withdrawn", logging.ERROR, model_version=version, why=why, milliseconds=1000 * self.own.usual())


class Shadow:
    """A model that answers the same requests in a thread of its own; its answers are compared and noted, never sent."""

    def __init__(self, followed: Followed, note: Note | None, meters: Meters) -> None:
        self.followed, self.note, self.meters = followed, note, meters
        self.waiting: deque[tuple[str, list[Row], Sequence[Response], str]] = deque()
        self.arrived = threading.Condition()
        self.ending = False
        self.thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self.thread.start()

    def put(self, request: str, rows: list[Row], responses: Sequence[Response], version: str) -> None:
        """Let the shadow answer what the model in charge has answered."""
        if self.followed.live.version == version:
            return
        with self.arrived:
            if len(self.waiting) >= WAITING:
                self.meters.count("shadowed", "left out", self.followed.live.version)
                return
            self.waiting.append((request, rows, responses, version))
            self.arrived.notify()

    def close(self) -> None:
        """Answer what waits, then end."""
        with self.arrived:
            self.ending = True
            self.arrived.notify()
        self.thread.join(10.0)

    def _work(self) -> None:
        while True:
            with self.arrived:
                while not self.waiting and not self.ending:
                    self.arrived.wait()
                if not self.waiting:
                    return
                request, rows, responses, _ = self.waiting.popleft()
            live, began = self.followed.live, perf_counter()
            try:
                found = live.predictor.respond(rows)
            except Exception as error:  # noqa: BLE001 -- whatever a shadow does, the service goes on
                self.meters.count("shadowed", "failed", live.version)
                log("shadow failed", logging.WARNING, error, model_version=live.version, request_id=request)
                continue
            for one, other in zip(found, responses, strict=True):
                same = getattr(one, "prediction", None) == getattr(other, "prediction", None)
                self.meters.count("shadowed", "same" if same else "different", live.version)
            if self.note is not None:
                self.note(request, live.version, rows, found, perf_counter() - began)


@dataclass
class Rivals:
    """The canary and the shadow that the environment asks for."""

    canary: Canary | None
    shadow: Shadow | None

    @classmethod
    def read(cls, own: Path, meters: Meters, note: Note | None, environment: Mapping[str, str]) -> "Rivals":
        """Return what the environment asks for.

        Raises:
            ValueError: for a share that is none.
        """

        def follow(name: str) -> Followed | None:
            if not environment.get(name):
                return None
            found = Followed(own, Path(environment[name]), lambda old, new: None, meters.refused_model)
            found.start()
            return found

        followed, shadowed = follow(CANARY), follow(SHADOW)
        share = float(environment.get(SHARE, "0.1"))
        return cls(
            Canary(followed, share, meters) if followed else None, Shadow(shadowed, note, meters) if shadowed else None
        )

    def close(self) -> None:
        """End both."""
        if self.canary is not None:
            self.canary.followed.stop()
        if self.shadow is not None:
            self.shadow.followed.stop()
            self.shadow.close()


def key_of(headers: Mapping[bytes, bytes], request_id: str) -> str:
    """Return what routes a request: its key, so that a customer meets one model, else its id."""
    return headers.get(b"x-routing-key", b"").decode("latin-1") or request_id
