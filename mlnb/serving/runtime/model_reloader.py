"""Reloads the model while requests keep coming, when a pointer names another.

A pointer is a symbolic link or folder with a bundle's `model`, or a text file with the path of one. The new model is
loaded next to the old one and has to give its golden rows the notebook's predictions before it is used. The switch is
one assignment, so that a single model responds to all rows of a request.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlnb.methods.tables.columns import check_rows
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.structured_logs import log_event

SECONDS = 1.0  # between two checks of the pointer


@dataclass(frozen=True)
class LoadedModel:
    """A model that can respond, and its name.

    Attributes:
        predictor: the model.
        version: name and version, as in the header X-Model-Version.
    """

    predictor: Predictor
    version: str

    @classmethod
    def load(cls, folder: Path) -> "LoadedModel":
        """Return the model in a bundle's folder `model`.

        Raises:
            OSError: a file is missing.
            ValueError: a file is damaged.
        """
        return cls(Predictor.load(folder), (folder / "version.txt").read_text("utf-8").strip())


class ModelReloader:
    """Keeps `current` at the model that a pointer names, as long as that model passes its checks.

    Args:
        own: the bento's model, which is used until the pointer names another.
        pointer: None: the model never changes.
        on_switch: called with the old and the new version at each change, and with "" and the first at the start.
        on_refusal: called with the current version when a new model is not used.

    Attributes:
        current: the model in use.
        named: whether the pointer has named it.
    """

    def __init__(
        self,
        own: LoadedModel,
        pointer: Path | None,
        on_switch: Callable[[str, str], None],
        on_refusal: Callable[[str], None],
    ) -> None:
        self.pointer, self.on_switch, self.on_refusal = pointer, on_switch, on_refusal
        self.checked: tuple[Path, int] | None = None  # folder and modification time of the last model that was tried
        self.current, self.named = own, False
        self.on_switch("", self.current.version)
        self.stopping = threading.Event()

    def start(self) -> None:
        """Switch to the model that the pointer names now, then check the pointer until `stop`."""
        if self.pointer is not None:
            self.check()
            threading.Thread(target=self._watch, name="model reloader", daemon=True).start()

    def stop(self) -> None:
        """Stop checking."""
        self.stopping.set()

    def check(self) -> bool:
        """Check the pointer once; return whether the model changed. A failure is logged, never raised."""
        try:
            folder = find_model(self.pointer) if self.pointer else None
            if folder is None:
                return False
            state = (folder, (folder / "version.txt").stat().st_mtime_ns)
            if state == self.checked:
                return False
            self.checked = state
            new = LoadedModel.load(folder)
            if new.version == self.current.version:
                self.named = True
                return False
            check_successor(self.current.predictor, new.predictor)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with a new model, the old one stays in use
            self.on_refusal(self.current.version)
            log_event("model refused", logging.ERROR, error, pointer=str(self.pointer), current=self.current.version)
            return False
        old, self.current = self.current, new
        self.named = True
        self.on_switch(old.version, new.version)
        log_event("model switched", old=old.version, new=new.version)
        return True

    def _watch(self) -> None:
        while not self.stopping.wait(SECONDS):
            self.check()


def find_model(pointer: Path) -> Path | None:
    """Return the folder that a pointer names, or None while there is no pointer.

    Raises:
        OSError: the folder does not exist.
    """
    if pointer.is_file():
        folder = pointer.parent / pointer.read_text("utf-8").strip()
    elif pointer.exists() or pointer.is_symlink():
        folder = pointer
    else:
        return None
    inside = folder / "model"
    return (inside if (inside / "version.txt").is_file() else folder).resolve(strict=True)


def check_successor(old: Predictor, new: Predictor) -> None:
    """Check that a model may replace another.

    Raises:
        ValueError: it solves another problem, refuses the rows that are sent now, needs another key for pseudonyms, or
            does not give its golden rows the notebook's predictions.
    """
    for name in ("task", "target"):
        result, expected = (str(getattr(model.parts.contract, name)) for model in (new, old))
        if result != expected:
            raise ValueError(f"found {name} {result!r}, expected {expected!r} as in the model in use")
    if old.recommendations is not None and new.recommendations is None:
        raise ValueError("found a model of no interaction log, expected one that recommends items as the model in use")
    problems = check_rows(old.golden.rows, new.parts.schema)
    if problems:
        problem = problems[0]
        raise ValueError(
            f"rows that are sent now would be refused: column {problem.column!r}: found {problem.found}, "
            f"expected {problem.expected}"
        )
    new.protection.check_key()
    difference = new.replay()
    if difference is not None:
        raise ValueError(f"it does not give the predictions of its notebook: {difference}")
