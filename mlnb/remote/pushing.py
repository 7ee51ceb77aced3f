"""Pushes results: objects first, the entry of the stage key last and never replaced, so that no reader sees a part."""

from mlnb.codec import encode
from mlnb.engine.remote_link import entry_path
from mlnb.engine.remote_messages import PushStage, SharedStage
from mlnb.engine.run_records import StageResult, digests_of
from mlnb.errors import SchemaError
from mlnb.remote.entries import ERASED, StageEntry, object_name, recipe_name, stage_name
from mlnb.remote.remote_session import RemoteSession


class Pusher:
    """Pushes objects and results of one project; used by several threads.

    Attributes:
        erased: Digests of objects that must not be pushed again.
    """

    def __init__(self, session: RemoteSession) -> None:
        """Read which objects were erased by any clone. Raises `RemoteError`."""
        self.session = session
        self.erased = set(session.objects.names(ERASED))

    def push_stage(self, request: PushStage) -> bool:
        """Push the result of a stage key; return whether it is there. Raises `RemoteError`."""
        session, result = self.session, request.result
        if (digests := self._local_objects(result)) is None:
            return False
        if erased := self.erased & digests:
            session.warn(f"{_of(result)} is not pushed: object {min(erased)[:12]} was erased from the remote store.")
            return False
        self.push_objects(digests)
        stage = SharedStage(key=request.key, result=result, person=session.person, platform=session.platform)
        name, data = stage_name(session.platform, request.key), session.entries.wrap(StageEntry(stage=stage))
        if not session.objects.create(name, data):
            stage = self._compare(name, data, stage)
        session.objects.create(recipe_name(session.platform, request.recipe), request.key.encode())
        session.remember(entry_path(session.cache, request.key), encode(stage))
        return True

    def _local_objects(self, result: StageResult) -> set[str] | None:
        """Return the digests of all objects of a result; None when one is not here, as it was reused unread."""
        store, digests = self.session.store, digests_of(result)
        if not all(store.path(digest).exists() for digest in digests):
            return None
        for output in result.outputs.values():
            if output.format == "tree":
                digests |= set(store.read_listing(output.digest).values())
        return digests if all(store.path(digest).exists() for digest in digests) else None

    def push_objects(self, digests: set[str]) -> None:
        """Push objects of the local store that the remote store lacks, or has damaged. Raises `RemoteError`."""
        self.session.transfer_all(self._push_object, sorted(digests - self.erased))

    def _push_object(self, digest: str) -> None:
        session = self.session
        session.objects.upload(object_name(digest), session.store.path(digest), again=digest in session.damaged)
        session.damaged.discard(digest)

    def _compare(self, name: str, data: bytes, own: SharedStage) -> SharedStage:
        """Return the result that the remote store has; replace it when it cannot be used, warn when it differs."""
        session = self.session
        try:
            first = session.entries.open_stage(session.objects.read(name) or b"", own.key, own.platform)
        except SchemaError:
            first = None
        if first is None or not session.damaged.isdisjoint(digests_of(first.result)):
            session.objects.replace(name, data)
            return own
        outputs, others = own.result.outputs, first.result.outputs
        if differing := [artifact for artifact in outputs if outputs[artifact] != others.get(artifact)]:
            session.warn(
                f"{_of(own.result)} has made other bytes of {', '.join(differing)} than run {first.result.run} by "
                f"{first.person} with the same stage key: the stage is not deterministic. The remote store keeps the "
                "first result."
            )
        return first


def _of(result: StageResult) -> str:
    return f"The stage with {', '.join(result.outputs) or 'no outputs'} of run {result.run}"
