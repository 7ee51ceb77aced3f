"""The session that a stage notebook opens: it loads what was declared, keeps what was promised, and records it."""

import inspect
import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from mlnb.codec import R
from mlnb.engine import runs
from mlnb.engine.files import read_json, write_json
from mlnb.engine.formats import load_object, save_object
from mlnb.engine.parameter_values import SECRET
from mlnb.engine.parameters import nearest
from mlnb.engine.project import Project
from mlnb.engine.test_set_access import by_hand, is_sealed, look
from mlnb.errors import ContractBroken, GateFailed, ParameterError, UnknownRun

PROGRESS_EVERY = 0.2  # seconds between two progress notes
ASIDE = 10  # what is added to the niceness of a notebook that fewer stages wait for than for its neighbour


def open_stage(name: str, run: str, reads: Sequence[str] = (), writes: Mapping[str, str] | None = None) -> "Stage":
    """Open a stage: in a pipeline with the run's id, by hand with "draft" or the id of a run to read from.

    `reads` names the artifacts it may load; `writes` maps each artifact that it promises to one sentence
    about its contents, shape and unit. Raises `UnknownRun`, and `ParameterError` when the notebook's
    values are not those that the run planned.
    """
    frame = inspect.currentframe()
    caller = frame.f_back.f_globals if frame and frame.f_back else {}
    project = Project.find()
    order = read_json(project.runs / run / "stages" / f"{name}.order.json") if run != runs.DRAFT else None
    if order is not None and os.environ.get("MLNB_ORDER") == order["nonce"]:
        for parameter, planned in order["values"].items():
            if caller.get(parameter) != planned:
                raise ParameterError(
                    f"{name}.{parameter} is {caller.get(parameter)!r} in the notebook; the run planned {planned!r}. "
                    "Is the cell tagged `parameters` the one that sets it, and set nowhere else?"
                )
        return PipelineStage(project, name, run, list(reads), dict(writes or {}), order)
    return HandStage(project, name, run, list(reads), dict(writes or {}))


class Stage(ABC):
    """What a notebook can do while its stage is open."""

    def __init__(self, project: Project, name: str, run: str, reads: list[str], writes: dict[str, str]) -> None:
        self.project = project
        self.name = name
        self.run = run
        self.reads = reads
        self.writes = writes
        self.metrics: dict[str, float] = {}
        self.outputs: dict[str, dict[str, Any]] = {}
        self.looks: dict[str, int] = {}  # sealed artifact -> runs that have opened it so far, this one included
        self.folder = project.runs / run / "stages"
        self._visitor = run
        self._told = 0.0

    @overload
    def load(self, artifact: str) -> Any: ...

    @overload
    def load(self, artifact: str, kind: type[R]) -> R: ...

    def load(self, artifact: str, kind: type[R] | None = None) -> Any:
        """Return an artifact that the stage declared to read.

        Args:
            artifact: its name, one of `reads`.
            kind: the class of a typed record; None for tables, arrays, folders and plain JSON.

        Raises:
            ContractBroken: an artifact that was not declared.
            SchemaError: a record of another schema or version.
        """
        if artifact not in self.reads:
            raise ContractBroken(
                f"Stage {self.name!r} loads {artifact!r} but declares reads={self.reads}; "
                "add it there, so that the graph knows." + nearest(artifact, self.reads)
            )
        output = self._find(artifact)
        if is_sealed(output):
            self.looks[artifact] = look(self.project.store.root, output["digest"], self._visitor)
        return load_object(self.project.store, output["format"], output["digest"], kind, f"artifact {artifact!r}")

    def save(self, artifact: str, value: Any) -> None:
        """Keep an artifact that the stage promised. Raises `ContractBroken` for any other, or the second time."""
        if artifact not in self.writes:
            raise ContractBroken(
                f"Stage {self.name!r} saves {artifact!r} but declares writes={list(self.writes)}; "
                "add it there with one sentence." + nearest(artifact, list(self.writes))
            )
        if artifact in self.outputs:
            raise ContractBroken(f"Stage {self.name!r} saves {artifact!r} twice; expected once.")
        kind, digest, size = save_object(self.project.store, value)
        self.outputs[artifact] = {
            "digest": digest,
            "format": kind,
            "bytes": size,
            "description": self.writes[artifact],
        }

    def log(self, **metrics: float) -> None:
        """Record numbers under the stage's metrics; the last value of a name counts."""
        for name, value in metrics.items():
            try:
                self.metrics[name] = float(value)
            except (TypeError, ValueError) as error:
                raise ContractBroken(f"stage.log({name}={value!r}): expected a number.") from error

    def resolve(self, text: str) -> str:
        """Return `text` ready for use: `${NAME}` from the environment, the relative path of a file made absolute."""
        expanded = SECRET.sub(lambda match: self._secret(match[1]), text)
        path = self.project.root / expanded
        return str(path) if "://" not in expanded and path.exists() else expanded

    def require(self, passed: bool, message: str) -> None:
        """Go on when `passed`; else raise `GateFailed` with the message."""
        if not passed:
            raise GateFailed(message)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Tell how far a long loop is; cheap enough to call at every step."""
        if time.monotonic() - self._told >= PROGRESS_EVERY or done >= total:
            self._told = time.monotonic()
            self._tell({"done": float(done), "total": float(total), "text": text})

    def close(self) -> None:
        """End the stage. Raises `ContractBroken` when a promise was left unkept."""
        missing = [artifact for artifact in self.writes if artifact not in self.outputs]
        if missing:
            raise ContractBroken(f"Stage {self.name!r} promised {', '.join(map(repr, missing))} and did not save it.")
        self._record()

    @property
    @abstractmethod
    def scratch(self) -> Path:
        """A folder for what should survive a kill; the same in every attempt, gone once it ends well."""

    def _secret(self, name: str) -> str:
        if name not in os.environ:
            raise ParameterError(f"Stage {self.name!r} uses ${{{name}}}, but the environment has no {name}.")
        return os.environ[name]

    @abstractmethod
    def _find(self, artifact: str) -> dict[str, Any]:
        """Return the record (format, digest) of an artifact."""

    @abstractmethod
    def _tell(self, note: dict[str, Any]) -> None:
        """Pass on how far the stage is."""

    @abstractmethod
    def _record(self) -> None:
        """Write down what the stage made."""


class PipelineStage(Stage):
    """A stage that the pipeline ordered: inputs, key and folder are given."""

    def __init__(
        self, project: Project, name: str, run: str, reads: list[str], writes: dict[str, str], order: dict[str, Any]
    ) -> None:
        super().__init__(project, name, run, reads, writes)
        self.order = order
        if order["aside"] and hasattr(os, "nice"):
            os.nice(ASIDE)

    def _follow(self) -> bool:
        """Belong to the run that this state was woken for; return whether there is one, as by hand there is none."""
        nonce = os.environ.get("MLNB_ORDER")
        if nonce == self.order["nonce"]:
            return True
        folder = self.project.runs / os.environ.get("MLNB_RUN", "") / "stages"
        order = read_json(folder / f"{self.name}.order.json")
        if order is None or order["nonce"] != nonce:
            return False
        self.order, self.folder, self.run = order, folder, folder.parent.name
        return True

    @property
    def scratch(self) -> Path:
        """A folder for what should survive a kill; the same in every attempt, gone once it ends well."""
        return self.project.store.scratch(self.order["scratch"])

    def _find(self, artifact: str) -> dict[str, Any]:
        return dict(self.order["inputs"][artifact])

    def _tell(self, note: dict[str, Any]) -> None:
        if self._follow():
            (self.folder / f"{self.name}.progress.json").write_text(json.dumps(note))

    def save(self, artifact: str, value: Any) -> None:
        """Keep an artifact that the stage promised; stages that wait for it may start from now on."""
        super().save(artifact, value)
        self._note(closed=False)

    def _record(self) -> None:
        if not self._follow():
            print(f"{self.name}: nothing is recorded from here; `mlnb run` goes on with what the notebook then says.")
            return
        self._note(closed=True)
        self.project.store.seen.save()

    def _note(self, closed: bool) -> None:
        """Write down what there is by now, and whether it is all."""
        if self._follow():
            record = {"nonce": self.order["nonce"], "outputs": self.outputs, "metrics": self.metrics, "closed": closed}
            write_json(self.folder / f"{self.name}.json", record)


class HandStage(Stage):
    """A stage that a person runs. It reads through its own draft to the last finished run, or from the run named.

    What it saves goes to the draft, or beside the run's record under `hand/`: a run's own record never changes.
    """

    def __init__(self, project: Project, name: str, run: str, reads: list[str], writes: dict[str, str]) -> None:
        super().__init__(project, name, run, reads, writes)
        self.origin = None if run == runs.DRAFT else runs.open_run(project, run)
        base = project.runs / runs.DRAFT if self.origin is None else self.origin.folder
        self.folder = base if self.origin is None else base / "hand"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._origins: dict[str, str] = {}
        self._visitor = by_hand()

    @property
    def scratch(self) -> Path:
        """A folder of the draft's own, kept until the stage ends well."""
        folder = self.folder / f"{self.name}.scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def _find(self, artifact: str) -> dict[str, Any]:
        if self.origin is not None:
            output = self.origin.output(artifact)
            if output is None:
                self.origin.load(artifact)  # raises, naming what there is
            return output or {}
        for path in sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            output = (read_json(path) or {}).get("outputs", {}).get(artifact)
            if output is not None:
                self._say(f"{artifact}: from the draft of {path.stem}")
                return dict(output)
        found = runs.last_output(self.project, artifact)
        if found is None:
            raise UnknownRun(f"No run has made {artifact!r} yet. Make it first: `mlnb run --upto` the stage that does.")
        self._say(f"{artifact}: from run {found[0].id}")
        return found[1]

    def _say(self, text: str) -> None:
        print(text)

    def _tell(self, note: dict[str, Any]) -> None:
        """A person sees the notebook's own progress bars."""

    def _record(self) -> None:
        write_json(self.folder / f"{self.name}.json", {"outputs": self.outputs, "metrics": self.metrics})
        self.project.store.seen.save()
        shutil.rmtree(self.folder / f"{self.name}.scratch", ignore_errors=True)
        for artifact, output in self.outputs.items():
            known = self.origin.output(artifact) if self.origin is not None else None
            if known is not None:
                same = known["digest"] == output["digest"]
                self._say(f"{artifact}: {'the same bytes as' if same else 'DIFFERS from'} run {self.run}'s")
            else:
                self._say(f"{artifact}: kept in {self.folder.name}, {output['bytes']:,} bytes")
