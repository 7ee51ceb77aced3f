"""Clones of a small project that share a remote store; the helper process and the kernels are in this process."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import toys
from in_process import mlnb_in_process
from s3_server import S3Server, serve_buckets

from mlnb.engine import remote_link
from mlnb.engine.project import Project
from mlnb.engine.remote_messages import Numbered, Reply, Request, line, replies, requests
from mlnb.engine.runs import Run, open_run
from mlnb.errors import MlnbError
from mlnb.remote.helper import Helper

MADE: list[tuple[Path, dict[str, bytes]]] = []  # the first clone with its run, and the remote objects


class HelperHere:
    """Answers requests as the helper process does, in this one."""

    def __init__(self, root: Path, settings: Mapping[str, str]) -> None:
        assert settings["MLNB_REMOTE"]
        try:
            self.helper: Helper | None = Helper(Project.find(root))
        except MlnbError as error:
            self.helper, self.problem = None, str(error)

    def request(self, request: Request) -> Reply:
        """Return the reply to a request; both are encoded on the way."""
        message = requests.decode(line(Numbered(number=1, request=request)))
        reply = self.helper.reply(message) if self.helper else Reply(number=1, down=self.problem)
        return replies.decode(line(reply))

    def close(self) -> None:
        """End nothing."""


class Clones:
    """Clones of the project `toys.chain` and the S3 server that they share."""

    def __init__(self, folder: Path, server: S3Server, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.server = server
        self.patch = patch
        self.objects = server.buckets["b"]

    def clone(self, person: str) -> Path:
        """Return a new clone; the commands that follow are run by this person."""
        self.patch.setenv("MLNB_ACTOR", person)
        return toys.chain(self.folder / person)

    def first_run(self) -> tuple[Path, Run]:
        """Return the clone of ana with a run, which is in the remote store; they are made once for all tests."""
        self.patch.setenv("MLNB_ACTOR", "ana")
        root = self.folder / "ana"
        if not MADE:
            keep = Path(tempfile.mkdtemp())
            atexit.register(shutil.rmtree, keep)
            run(toys.chain(keep / "ana"))
            MADE.append((keep / "ana", dict(self.objects)))
        shutil.copytree(MADE[0][0], root)
        self.objects.update(MADE[0][1])
        return root, open_run(Project.find(root))

    def named(self, part: str) -> dict[str, bytes]:
        """Return the remote objects whose name contains a text."""
        return {name: data for name, data in self.objects.items() if part in name}

    def forget(self) -> None:
        """Forget the requests so far."""
        self.server.requests.clear()


def run(root: Path, *arguments: str) -> tuple[str, Run]:
    """Run the pipeline of a clone; return the output and the run that is the latest now."""
    text = mlnb_in_process(root, "run", "--no-report", *arguments)
    return text, open_run(Project.find(root))


def stored(root: Path) -> set[str]:
    """Return the digests of the objects in the local store of a clone."""
    return {path.parent.name + path.name for path in (root / ".mlnb" / "objects").glob("*/*")}


def states(run: Run) -> dict[str, str]:
    """Return the state of each stage of a run, which has finished."""
    assert run.state == "finished"
    return {name: stage.state for name, stage in run.stages.items()}


def output(run: Run, artifact: str) -> str:
    """Return the digest of an artifact."""
    return run.require_output(artifact).digest


@contextmanager
def shared_clones(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Clones]:
    """Yield clones with the remote store s3://b/team."""
    patch.setattr(remote_link, "RemoteProcess", HelperHere)
    patch.setenv("MLNB_REMOTE", "s3://b/team")
    with serve_buckets(patch) as server:
        server.buckets["b"] = {}
        yield Clones(folder, server, patch)
