"""The remote store as the engine uses it: results by stage key, objects by digest, runs by id.

Nothing is requested before something is missing in the local store. A store that cannot be reached is one warning;
then results are made and reused on this machine alone.
"""

import warnings
import weakref
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlnb.engine.digests import digest_bytes
from mlnb.engine.recipe_keys import KeyedGraph, recipe_keys
from mlnb.engine.remote_messages import (
    CheckResult,
    Erase,
    FindPlan,
    FindRun,
    FindStages,
    ListRuns,
    PlannedRun,
    Probe,
    Pull,
    PullRun,
    PushPlan,
    PushRun,
    PushStage,
    Reply,
    Request,
    SharedRun,
    SharedStage,
    WaitForPushes,
)
from mlnb.engine.remote_process import RemoteProcess
from mlnb.engine.run_records import StageResult, digests_of
from mlnb.engine.stage_files import read_record
from mlnb.engine.test_set_access import Access, record_access
from mlnb.engine.tombstones import marker_path
from mlnb.errors import MissingExtra, RemoteError, RemoteWarning, SettingsError
from mlnb.settings import ProcessSettings, ProjectSettings
from mlnb.url_passwords import mask_passwords

if TYPE_CHECKING:
    from mlnb.engine.store import Store

FOLDER = "remote"  # in the local store: what is known of remote stores
SCHEMES = ("s3", "gs", "az", "file")


class RemoteLink:
    """The remote store of a project; used by several threads.

    Attributes:
        url: Its URL, without passwords.
        writable: Whether results are pushed to it.
        down: Why it cannot be used by this process any more; empty: it can, or was not used yet.
    """

    def __init__(self, root: Path, store: "Store", settings: ProjectSettings) -> None:
        """Connect nothing yet.

        Args:
            root: Folder of the project.
            store: The local store.
            settings: With the URL and the mode.

        Raises:
            SettingsError: The URL is none of an object store or a folder.
            MissingExtra: The client library is not installed.
        """
        check_url(settings.remote)
        if find_spec("obstore") is None:
            raise MissingExtra("The setting `remote` needs obstore: pip install 'mlnb[remote]'.")
        self.url = mask_passwords(settings.remote)
        self.writable = settings.remote_mode == "rw"
        self.down = ""
        self._root = root
        self._store = store
        self._settings = {
            setting.variable: setting.show(getattr(settings, name))
            for name, setting in settings.declared().items()
            if name.startswith("remote")
        } | {ProjectSettings.remote.variable: settings.remote}
        self._folder = remote_cache(store.root, settings.remote)
        self._once = bool(ProcessSettings().kernel)  # a kernel forks for snapshots: the helper ends before that
        self._process: RemoteProcess | None = None
        self._absent: set[str] = set()  # stage keys
        self._recipes: set[str] = set()  # that were requested
        self._lost: set[str] = set()  # digests of objects that could not be pulled
        self._promised: set[str] = set()  # digests of objects of results that were returned
        self._broken: set[str] = set()  # those among them that are missing or damaged in the remote store

    def start(self) -> None:
        """Start the helper process in advance, so that its imports overlap with planning."""
        if self._process is None:
            self._process = RemoteProcess(self._root, self._settings)
            self._end = weakref.finalize(self, self._process.close)

    def forget(self) -> None:
        """Request results again that were absent, as other machines may have pushed them since."""
        self._absent.clear()
        self._recipes.clear()

    def stage(self, key: str, plan: KeyedGraph, again: bool = False) -> SharedStage | None:
        """Return the result of a stage key whose objects can be pulled, and store it locally; None when there is none.

        Args:
            key: Stage key.
            plan: The plan; the results of its other stages are requested at the same time.
            again: Whether it is requested although it was absent before.
        """
        if again:
            self._absent.discard(key)
        shared = read_record(SharedStage, entry_path(self._folder, key))
        if shared is None and key not in self._absent and not self.down:
            others = tuple(recipe for recipe in recipe_keys(plan).values() if recipe not in self._recipes)
            self._recipes.update(others)
            stages = self._request(FindStages(keys=(key,), recipes=others)).stages
            shared = next((one for one in stages if one.key == key), None)
            if shared is None:
                self._absent.add(key)
        if shared is None or not self._can_pull(shared):
            return None
        if self._store.result(key) != shared.result:
            self._store.put_result(key, shared.result)
        self._promised |= digests_of(shared.result)
        for digest in shared.result.held_out.values():
            record_access(self._store.root, Access(digest, shared.result.run, key))
        return shared

    def promises(self, digest: str) -> bool:
        """Return whether an object belongs to a result that was returned, and was not lost since."""
        return digest in self._promised and digest not in self._lost

    def give_up(self, digest: str) -> None:
        """Note that a folder cannot be pulled, as one of its files cannot."""
        self._lost.add(digest)
        self._broken.add(digest)

    def pull(self, digests: Iterable[str]) -> bool:
        """Write objects into the local store, verified; return whether all are there.

        An object that was erased from this project, or that could not be pulled before, is not requested.
        """
        needed = tuple(dict.fromkeys(digests))
        wanted = [digest for digest in needed if digest not in self._lost and not self._is_erased(digest)]
        if wanted and not self.down:
            reply = self._request(Pull(digests=tuple(wanted)))
            self._broken.update(() if reply.down else reply.failed)
            self._lost.update(wanted if reply.down else reply.failed)
        return all(self._store.path(digest).exists() for digest in needed)

    def push(self, name: str, key: str, result: StageResult, plan: KeyedGraph) -> None:
        """Begin to push the result of a stage, unless the remote store has it.

        Args:
            name: The stage.
            key: Its key.
            result: The result.
            plan: The plan with the stage.
        """
        if not self.writable or self.down:
            return
        path = entry_path(self._folder, key)
        if (shared := read_record(SharedStage, path)) is not None:
            broken = not self._broken.isdisjoint(digests_of(shared.result))
            if not broken and shared.result.outputs == result.outputs:
                return
            path.unlink(missing_ok=True)
        self._request(PushStage(key=key, recipe=recipe_keys(plan)[name], result=result))

    def wait(self) -> int:
        """Wait until the results before are pushed; return the number of those that were pushed since the last wait."""
        return 0 if self.down else self._request(WaitForPushes()).pushed

    def lacks_run(self, run: str) -> bool:
        """Return whether a run is to be pushed."""
        return self.writable and not self.down and not run_path(self._folder, run).exists()

    def runner(self, run: str) -> str:
        """Return who has run a run that was pulled or pushed; empty for another one."""
        try:
            return run_path(self._folder, run).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def share(self, run: str, plan: str = "", objects: Iterable[str] = ()) -> int:
        """Push the files of a run when its stages are pushed; return the number of stages and runs that were pushed.

        Args:
            run: Its id.
            plan: Digest of its stage keys, by which other clones find it; empty: it has not finished.
            objects: Digests of other objects that it needs.
        """
        return self._request(PushRun(id=run, plan=plan, objects=tuple(objects))).pushed

    def find_run(self, reference: str = "", plan: str = "") -> SharedRun | None:
        """Return the run with an id, a part of one, or the digest of its stage keys; None for none or several."""
        runs = () if self.down else self._request(FindRun(reference=reference, plan=plan)).runs
        return runs[0] if len(runs) == 1 else None

    def pull_run(self, run: SharedRun) -> bool:
        """Write the files of a run into its folder; return whether they are there."""
        return not self.down and not self._request(PullRun(run=run)).failed

    def push_plan(self, plan: PlannedRun) -> None:
        """Push a plan, when the results before are pushed.

        Raises:
            RemoteError: The store cannot be used, only be read, or must not be written to.
        """
        if not self.writable or not self._required(PushPlan(plan=plan)).pushed:
            raise RemoteError(f"The plan is not pushed: {self.url} can only be read; see `mlnb doctor --remote`.")

    def find_plan(self, recipe: str) -> PlannedRun | None:
        """Return the plan with a recipe; None when there is none. Raises `RemoteError`."""
        return self._required(FindPlan(recipe=recipe)).plan

    def list_runs(self, count: int) -> tuple[SharedRun, ...]:
        """Return the newest runs. Raises `RemoteError` when the store cannot be used."""
        return self._required(ListRuns(count=count)).runs

    def erase(self, digests: Iterable[str]) -> None:
        """Delete objects, and mark them so that no clone pushes them again.

        Raises:
            RemoteError: The store cannot be used, or only be read.
        """
        if not self.writable:
            raise RemoteError(f"{self.url} is used read-only (remote_mode = r), and may have the erased rows.")
        self._required(Erase(digests=tuple(digests)))

    def probe(self) -> tuple[CheckResult, ...]:
        """Return what the store supports, and how fast it is."""
        return self._request(Probe()).checks

    def close(self) -> None:
        """End the helper process."""
        if self._process is not None:
            self._end()
            self._process = None

    def _can_pull(self, shared: SharedStage) -> bool:
        digests = digests_of(shared.result)
        return not any(map(self._is_erased, digests)) and self._lost.isdisjoint(digests)

    def _is_erased(self, digest: str) -> bool:
        return marker_path(self._store.root, digest).exists()

    def _required(self, request: Request) -> Reply:
        reply = Reply(number=0, down=self.down) if self.down else self._request(request)
        if reply.down:
            raise RemoteError(f"{self.url} cannot be used: {reply.down}.")
        return reply

    def _request(self, request: Request) -> Reply:
        self.start()
        assert self._process is not None
        reply = self._process.request(request)
        if self._once:
            self.close()
        for text in reply.warnings:
            warnings.warn(text, RemoteWarning, stacklevel=2)
        if reply.down and not self.down:
            self.down = reply.down
            text = f"The remote store {self.url} is not used: {reply.down}. Results stay on this machine."
            warnings.warn(text, RemoteWarning, stacklevel=2)
        return reply


def check_url(url: str) -> None:
    """Raise `SettingsError` for a URL that is none of an object store or a folder."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not (parts.path.startswith("/") if parts.scheme == "file" else parts.netloc):
        raise SettingsError(
            f"The setting `remote` is {mask_passwords(url)!r}; expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, "
            "az://CONTAINER/PREFIX or file:///FOLDER."
        )


def remote_cache(root: Path, url: str) -> Path:
    """Return the folder of the local store with what is known of a remote store."""
    return root / FOLDER / digest_bytes(url.encode())[:16]


def entry_path(folder: Path, key: str) -> Path:
    """Return the file with the result of a stage key that the remote store has."""
    return folder / "stages" / f"{key}.json"


def run_path(folder: Path, run: str) -> Path:
    """Return the file with who has run a run that the remote store has."""
    return folder / "runs" / run
