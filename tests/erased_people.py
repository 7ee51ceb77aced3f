"""A project whose data, notebooks, log, labels, W&B files and bentos have a person that is to be erased."""

import base64
import gzip
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from example_run import Example
from recorded_runs import recorded_run

from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.monitoring_paths import label_database
from mlnb.monitoring.production_heads import record_heads
from mlnb.registry.registry import Registry
from mlnb.serving.runtime.log_segments import convert_segment

NUMBER, OTHER = 2, 20  # of passengers; the first is shown in notebooks
PERSON, NEIGHBOR = f"passenger {NUMBER}", f"passenger {OTHER}"
LETTER = "Zürich & <Klara> wrote 4711 lines"  # a unique text, in a column that the model ignores


def make_project(example: Example, root: Path) -> Run:
    """Return a run as `mlnb run` leaves it, with production data, and a bento next to its folder."""
    run = recorded_run(example, root)
    registry = Registry(run.project, "ann")
    (version,) = registry.versions()
    folder = run.project.store_root / "predictions" / version.model
    folder.mkdir(parents=True)
    rows = [{"name": PERSON, "fare": 7.25, "letter": LETTER}, {"name": NEIGHBOR, "fare": 8.5, "letter": "none"}]
    for number in (1, 2, 3):
        line = {"id": f"request-{number}", "time": 1000.0 + number, "model": "m", "ms": 1.0}
        sent = rows if number < 3 else rows[1:]
        line |= {"rows": sent, "responses": [{"prediction": "1"}] * len(sent)}
        segment = folder / f"20260314T091500-999999-ab-{number}.jsonl"
        segment.write_text(json.dumps(line) + "\n")
        if number != 2:  # the second is left by a service that was killed
            convert_segment(segment)
    labels = [(f"request-{number}", row, "1") for number in (1, 2) for row in (0, 1)]
    add_labels(label_database(run.project, version.model), labels, at=2000.0)
    record_heads(run.project, registry, version, folder)
    registry.engine.dispose()
    wandb = run.project.root / "wandb"
    (wandb / "offline-run-1" / "files").mkdir(parents=True)
    (wandb / "offline-run-1" / "files" / "table.json").write_text(json.dumps({"data": [[PERSON, 1]]}))
    (wandb / "offline-run-2").mkdir()
    block = b":W&B" + bytes(32768 - 8) + PERSON[:4].encode()  # a block of a W&B file ends inside of the name
    (wandb / "offline-run-2" / "run.wandb").write_bytes(block + bytes(7) + PERSON[4:].encode())
    (run.project.store_root / "cache" / "sources").mkdir(parents=True, exist_ok=True)
    (run.project.store_root / "cache" / "sources" / "rows.gz").write_bytes(gzip.compress(PERSON.encode()))
    bento = root.parent / "bentoml" / "bentos" / version.metadata.bento.replace(":", "/")
    shutil.copytree(run.project.store_root / "trees" / version.service, bento / "src")
    (bento / "src" / "rows.json").write_text(json.dumps([rows[0]]))
    (run.project.root / "survivors.csv").write_text(f"name,fare\n{PERSON},7.25\n")
    return run


def copy_project(run: Run, root: Path) -> Project:
    """Return a copy of a project."""
    shutil.copytree(run.project.root, root)
    return Project(root, root).with_settings(audit_anchor="audit_heads")


def holders(folders: tuple[Path, ...], texts: tuple[str, ...]) -> list[str]:
    """Return the files below some folders that hold a text, however they are compressed or encoded."""
    pattern = re.compile("|".join(f"{re.escape(text)}(?![0-9])" for text in texts).encode())
    return [
        path.relative_to(folder).as_posix()
        for folder in folders
        for path in sorted(path for path in folder.rglob("*") if path.is_file())
        if any(pattern.search(data) for data in _decoded(path.read_bytes()))
    ]


def _decoded(data: bytes) -> Iterator[bytes]:
    """Yield bytes as they are, and decoded."""
    yield data
    if data[:4] == b"PAR1":
        yield pd.read_parquet(io.BytesIO(data)).to_csv().encode("utf-8", "surrogatepass")
    elif data[:2] == b"\x1f\x8b":
        yield from _decoded(gzip.decompress(data))
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from _decoded(archive.read(name))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                file = archive.extractfile(member)
                yield from _decoded(file.read()) if file else ()
    elif data[:1] == b"{":
        yield _unescaped(data)
        if b'"image/png"' in data:
            for cell in json.loads(data)["cells"]:
                for output in cell.get("outputs", []):
                    image = output.get("data", {}).get("image/png", "")
                    yield base64.b64decode("".join(image))


def _unescaped(data: bytes) -> bytes:
    try:
        return json.dumps(json.loads(data), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError:
        return data
