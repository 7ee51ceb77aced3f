"""The model that answers now, and how another takes over while requests keep coming.

`MLNB_FOLLOW` names a pointer: a symbolic link or folder with a bundle's `model`, or a text file with the path of one.
When it points elsewhere, the new model is loaded beside the old one, has to give its golden rows the predictions that
the notebook gave them, and only then takes over: one assignment, so that each request is answered by one model whole.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlnb.methods.tables.columns import check_rows
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.structured_logs import log

POINTER = "MLNB_FOLLOW"
SECONDS = 1.0  # between two looks at the pointer


@dataclass(frozen=True)
class Live:
    """A model that answers, and its name.

    Attributes:
        version: name and version, as in the header X-Model-Version.
    """

    predictor: Predictor
    version: str

    @classmethod
    def load(cls, folder: Path) -> "Live":
        """Return the model in a bundle's `model` folder.

        Raises:
            OSError: or ValueError when it is damaged.
        """
        return cls(Predictor.load(folder), (folder / "version.txt").read_text("utf-8").strip())


class Followed:
    """Keeps `live` at what a pointer points to, as long as that proves itself."""

    def __init__(
        self, own: Path, pointer: Path | None, switched: Callable[[str, str], None], refused: Callable[[], None]
    ) -> None:
        """

        Args:
            own: the bento's own model, which answers until the pointer names another.
            pointer: None: nothing is followed.
            switched: told the two versions at each change.
            refused: told that a model may not take over.
        """
        self.pointer, self.switched, self.refused = pointer, switched, refused
        self.seen: tuple[Path, int] | None = None
        self.live = Live.load(own)
        self.switched("", self.live.version)
        self.stopping = threading.Event()

    @classmethod
    def read(
        cls,
        own: Path,
        switched: Callable[[str, str], None],
        refused: Callable[[], None],
        environment: Mapping[str, str] = os.environ,
    ) -> "Followed":
        """Return what the environment asks to follow."""
        pointer = environment.get(POINTER)
        return cls(own, Path(pointer) if pointer else None, switched, refused)

    def start(self) -> None:
        """Take over what the pointer names now, then keep looking until `stop`."""
        if self.pointer is not None:
            self.look()
            threading.Thread(target=self._watch, name="follow", daemon=True).start()

    def stop(self) -> None:
        """End looking."""
        self.stopping.set()

    def look(self) -> bool:
        """Look at the pointer once; return whether another model took over. What fails is logged, never raised."""
        try:
            folder = find_model(self.pointer) if self.pointer else None
            if folder is None:
                return False
            seen = (folder, (folder / "version.txt").stat().st_mtime_ns)
            if seen == self.seen:
                return False
            self.seen = seen
            new = Live.load(folder)
            if new.version == self.live.version:
                return False
            check_successor(self.live.predictor, new.predictor)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with a new model, the old one keeps answering
            self.refused()
            log("model refused", logging.ERROR, error, pointer=str(self.pointer), kept=self.live.version)
            return False
        old, self.live = self.live, new
        self.switched(old.version, new.version)
        log("model switched", old=old.version, new=new.version)
        return True

    def _watch(self) -> None:
        while not self.stopping.wait(SECONDS):
            self.look()


def find_model(pointer: Path) -> Path | None:
    """Return the folder that a pointer names, or None while there is no pointer.

    Raises:
        OSError: when it names none.
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
    """Raise ValueError when a model may not take over: another problem, other rows, or predictions that differ."""
    for name in ("task", "target"):
        found, expected = (str(getattr(model.parts.contract, name)) for model in (new, old))
        if found != expected:
            raise ValueError(f"found {name} {found!r}, expected {expected!r} as in the model that answers")
    problems = check_rows(old.golden.rows, new.parts.schema)
    if problems:
        first = problems[0]
        raise ValueError(
            f"rows that are sent now would be refused: column {first.column!r}: found {first.found}, "
            f"expected {first.expected}"
        )
    difference = new.replay()
    if difference is not None:
        raise ValueError(f"it does not predict what its notebook predicted: {difference}")
