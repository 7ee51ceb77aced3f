"""The helper process: holds the client of the remote store and answers requests until its input ends.

python -m mlnb.remote.helper FOLDER_OF_THE_PROJECT
"""

import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property, singledispatchmethod
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from mlnb.engine.project import Project
from mlnb.engine.remote_messages import (
    Erase,
    FindPlan,
    FindRun,
    FindStages,
    ListRuns,
    Numbered,
    Probe,
    Pull,
    PullRun,
    PushPlan,
    PushRun,
    PushStage,
    Reply,
    Request,
    WaitForPushes,
    line,
    requests,
)
from mlnb.errors import MlnbError, RemoteError
from mlnb.remote.entries import erased_name, object_name
from mlnb.remote.probe import creates_only, probe
from mlnb.remote.pulling import find_stages, pull_objects
from mlnb.remote.pushing import Pusher
from mlnb.remote.remote_session import RemoteSession
from mlnb.remote.shared_plans import find_plan, push_plan
from mlnb.remote.shared_runs import find_runs, newest_runs, pull_run, push_run

REQUESTS = 8  # answered at once
PUSHES = 2  # stages that are pushed at once


class Helper:
    """Answers requests with one session."""

    def __init__(self, project: Project) -> None:
        self.session = RemoteSession(project)
        self._lock = threading.Lock()
        self._pushes = ThreadPoolExecutor(PUSHES)
        self._pushing: list[Future[bool]] = []
        self._unfinished: list[PushStage] = []

    @cached_property
    def _pusher(self) -> Pusher | None:
        """What pushes; None for a store that must not be written to."""
        if not creates_only(self.session):
            self.session.warn(
                "The remote store ignores conditional writes, so nothing is pushed to it; see `mlnb doctor --remote`."
            )
            return None
        return Pusher(self.session)

    def _find_pusher(self) -> Pusher | None:
        with self._lock:
            return self._pusher

    def reply(self, message: Numbered) -> Reply:
        """Return the reply to a request; errors of the store are part of it."""
        try:
            reply = self.answer(message.request)
        except (MlnbError, OSError) as error:
            reply = Reply(number=0, down=str(error).rstrip("."))
        down = reply.down or self.session.objects.down
        return replace(reply, number=message.number, warnings=self.session.take_warnings(), down=down)

    def _wait_for_pushes(self) -> int:
        """Return the number of stages that were pushed since the last call."""
        pushing = list(self._pushing)
        wait(pushing)
        with self._lock:  # several requests may wait for the same ones, which are counted once
            ended = [future for future in pushing if future in self._pushing]
            self._pushing = [future for future in self._pushing if future not in ended]
        return sum(future.result() for future in ended)

    @singledispatchmethod
    def answer(self, request: Request) -> Reply:
        """Return the reply to a request, without number and warnings. Raises `RemoteError`."""
        raise RemoteError(f"{type(request).__name__} is no request")

    @answer.register
    def _(self, request: FindStages) -> Reply:
        return Reply(number=0, stages=find_stages(self.session, request))

    @answer.register
    def _(self, request: Pull) -> Reply:
        return Reply(number=0, failed=pull_objects(self.session, request.digests))

    @answer.register
    def _(self, request: PushStage) -> Reply:
        def push() -> bool:
            try:
                pusher = self._find_pusher()
                return pusher is not None and pusher.push_stage(request)
            finally:
                with self._lock:
                    self._unfinished.remove(request)

        with self._lock:  # a result is shared when it is made, when it is accepted, and when its run ends
            if request not in self._unfinished:
                self._unfinished.append(request)
                self._pushing.append(self._pushes.submit(push))
        return Reply(number=0)

    @answer.register
    def _(self, request: WaitForPushes) -> Reply:
        return Reply(number=0, pushed=self._wait_for_pushes())

    @answer.register
    def _(self, request: PushRun) -> Reply:
        stages, pusher = self._wait_for_pushes(), self._find_pusher()
        if pusher is None:
            return Reply(number=0)
        push_run(self.session, pusher, request)
        return Reply(number=0, pushed=stages + 1)

    @answer.register
    def _(self, request: PushPlan) -> Reply:
        stages, pusher = self._wait_for_pushes(), self._find_pusher()
        if pusher is None:
            return Reply(number=0)
        push_plan(self.session, pusher, request)
        return Reply(number=0, pushed=stages + 1)

    @answer.register
    def _(self, request: FindPlan) -> Reply:
        return Reply(number=0, plan=find_plan(self.session, request.recipe))

    @answer.register
    def _(self, request: FindRun) -> Reply:
        return Reply(number=0, runs=tuple(find_runs(self.session, request)))

    @answer.register
    def _(self, request: PullRun) -> Reply:
        return Reply(number=0, failed=pull_run(self.session, request.run))

    @answer.register
    def _(self, request: ListRuns) -> Reply:
        return Reply(number=0, runs=tuple(newest_runs(self.session, request.count)))

    @answer.register
    def _(self, request: Erase) -> Reply:
        def erase(digest: str) -> None:
            self.session.objects.create(erased_name(digest), b"")
            self.session.objects.delete(object_name(digest))

        self.session.transfer_all(erase, request.digests)
        return Reply(number=0)

    @answer.register
    def _(self, request: Probe) -> Reply:
        return Reply(number=0, checks=tuple(probe(self.session)))


def serve(root: Path, source: BinaryIO, target: BinaryIO) -> None:
    """Answer requests, several at once, until the input ends.

    Args:
        root: Folder of the project.
        source: Has a request a line.
        target: Gets a reply a line.
    """
    lock = threading.Lock()
    helper, problem = None, ""
    try:
        helper = Helper(Project.find(root))
    except (MlnbError, OSError) as error:
        problem = str(error).rstrip(".")
    with ThreadPoolExecutor(REQUESTS) as pool:

        def answer(message: Numbered) -> None:
            try:
                reply = helper.reply(message) if helper else Reply(number=message.number, down=problem)
            except Exception as error:  # noqa: BLE001 -- without a reply the other process would wait for ever
                reply = Reply(number=message.number, down=f"an unexpected error in its helper process: {error!r}")
            with lock:
                target.write(line(reply))
                target.flush()

        for text in source:
            pool.submit(answer, requests.decode(text))


def main() -> None:
    """Serve the process that has started this one; end when it has ended."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    serve(Path(sys.argv[1]), sys.stdin.buffer, replies)
    os._exit(0)  # without waiting for stages that are being pushed


if __name__ == "__main__":
    main()
