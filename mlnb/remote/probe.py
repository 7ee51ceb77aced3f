"""Checks of a remote store: whether it writes only where nothing is, how fast it is, and the time of its clock."""

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import obstore

import mlnb
from mlnb.engine.remote_messages import CheckResult
from mlnb.errors import RemoteError
from mlnb.remote.remote_session import RemoteSession

FOLDER = "probe"
REQUESTS = 5  # whose median is the latency
CLOCK = 60.0  # seconds that clocks may differ: a signature that was made later than now does not count
SLOW = 0.5  # seconds
CONDITIONAL = "creates"  # file that shows that the store writes conditionally


def creates_only(session: RemoteSession) -> bool:
    """Return whether the store refuses to create an object that is there; it is checked once. Raises `RemoteError`."""
    path = session.cache / CONDITIONAL
    if path.exists():
        return True
    name = f"{FOLDER}/create"  # stays, as not everyone who may write may delete
    created, replaced = (session.objects.create(name, b"") for _ in range(2))
    refused = not (created and replaced)
    if refused:
        session.remember(path, b"")
    return refused


def probe(session: RemoteSession) -> Iterator[CheckResult]:
    """Yield the results of all checks."""
    settings = session.project.settings
    yield CheckResult(state="ok", topic="platform", result=f"{session.platform}: only its results are reused")
    yield CheckResult(state="ok", topic="versions", result=f"mlnb {mlnb.__version__}, obstore {obstore.__version__}")
    try:
        yield _latency(session)
        if settings.remote_mode != "rw":
            yield CheckResult(state="ok", topic="mode", result="r: nothing is written")
            return
        (session.cache / CONDITIONAL).unlink(missing_ok=True)
        if not creates_only(session):
            advice = "use a store that supports If-None-Match on PUT, or set remote_mode = r"
            result = "conditional writes are ignored: two writers could replace each other's results"
            yield CheckResult(state="wrong", topic="writes", result=result, advice=advice)
            return
        yield CheckResult(state="ok", topic="writes", result="an object that is there is not replaced")
        yield _clock(session)
    except RemoteError:
        return  # the reply states why the store cannot be used


def _latency(session: RemoteSession) -> CheckResult:
    seconds = []
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        session.objects.read(f"{FOLDER}/latency")
        seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds)
    advice = "choose a bucket in a region nearby" if median > SLOW else ""
    result = f"{median * 1e3:.0f} ms, median of {REQUESTS} requests"
    return CheckResult(state="note" if advice else "ok", topic="latency", result=result, advice=advice)


def _clock(session: RemoteSession) -> CheckResult:
    name = f"{FOLDER}/clock"
    session.objects.replace(name, b"")
    now, modified = datetime.now(UTC), session.objects.modified(name)
    difference = abs((now - modified).total_seconds()) if modified else 0.0
    advice = "set the clock of this machine: signatures are judged by it" if difference > CLOCK else ""
    result = f"differs by {difference:.0f} s from that of the store"
    return CheckResult(state="note" if advice else "ok", topic="clock", result=result, advice=advice)
