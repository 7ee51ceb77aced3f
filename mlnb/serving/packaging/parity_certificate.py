"""The parity certificate: the built bento answers held-out rows over HTTP exactly as the notebook did."""

import json
import shutil
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlnb
from mlnb.engine.digests import digest_value
from mlnb.errors import ServingError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.serving.packaging.bento_server import Launch, Server, call, free_port, launch
from mlnb.serving.packaging.bento_stores import Built, certify
from mlnb.serving.packaging.bundles import Bundle, digest_tree
from mlnb.serving.packaging.library_requirements import imported
from mlnb.serving.runtime.parity import compare
from mlnb.serving.runtime.request_bodies import MAX_ROWS
from mlnb.serving.runtime.service_parts import read_record
from mlnb.serving.runtime.task_services import find_kind

ALONE = dict.fromkeys(  # what is set for a service does not concern its proof
    ("MLNB_API_KEY", "MLNB_FOLLOW", "MLNB_LOG", "MLNB_SHADOW", "MLNB_CANARY"), ""
)


@dataclass(frozen=True)
class Proof:
    """What was proven, and how long things took while it was.

    Attributes:
        certificate: the same for the same bundle.
        start_seconds: until the service answered.
        request_ms: median of the requests with one row.
    """

    certificate: dict[str, Any]
    start_seconds: float
    request_ms: float


def get_ready() -> Launch:
    """Return the process that will serve a bento for its proof, so that it starts while the bento is built."""
    return launch(extra=ALONE)


def prove(bundle: Bundle, built: Built, ready: Launch) -> Proof:
    """Return the proof that a built bento answers its golden rows, asked over HTTP, as the notebook did.

    All rows are asked for together, and each alone where answers are a row's own. Raises `ServingError` naming
    the first row and field that differ, or saying what the service printed when it does not start or answer.
    """
    model = bundle.folder / "model"
    golden, contract = bundle.read_golden(), read_record(ProblemContract, model / "contract.json")
    rows, expected = golden.rows, golden.predictions
    independent = find_kind(contract).answering.independent
    if ready.process.poll() is not None:  # it ended with a kernel whose state was kept, and gone on from
        ready = get_ready()
    began = time.monotonic()
    server = ready.serve(built.path, "127.0.0.1", free_port(), workers=1)
    try:
        server.wait("/livez")  # not /readyz, which compares too, but cannot say what differs
        start_seconds = time.monotonic() - began
        size = MAX_ROWS if independent else max(1, len(rows))
        batches = [rows[at : at + size] for at in range(0, len(rows), size)]
        together = [answer for batch in batches for answer in ask(server, batch)]
        alone, took = [], []
        for row in rows if independent else []:
            began = time.perf_counter()
            alone += ask(server, [row])
            took.append(1000 * (time.perf_counter() - began))
        status, _, _ = call(server.host, server.port, "GET", "/readyz")
    finally:
        server.stop()
        if ready.own is not None:
            shutil.rmtree(ready.own, ignore_errors=True)
    ways = {"all rows in one request": together} | ({"one row a request": alone} if independent else {})
    for way, found in ways.items():
        difference = compare(found, expected)
        if difference is not None:
            raise ServingError(
                f"The bento {built.tag} and the notebook disagree ({way}): {difference}. "
                "It must not be shipped. Look for a step that the service takes in another way than the "
                "notebook, such as an encoder changed after the model was fitted, then run it again."
            )
    if status != 200:
        raise ServingError(f"The bento {built.tag} answers /readyz with {status}, expected 200.")
    certificate = {
        "bento": built.tag,
        "model": built.model_tag,
        "rows": len(rows),
        "requests": len(alone) + len(batches),
        "ways": list(ways),
        "identical": True,
        "service": digest_tree(bundle.folder),
        "digests": {
            "rows": digest_value(rows),
            "predictions": digest_value(expected),
            "model": digest_tree(model),
        },
        "versions": read_versions(bundle.folder / "requirements.txt"),
    }
    certify(built, certificate)
    return Proof(certificate, start_seconds, statistics.median(took) if took else 0.0)


def read_versions(requirements: Path) -> dict[str, str]:
    """Return the version of Python, of mlnb and of each library that a bundle's requirements.txt pins first."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "mlnb": mlnb.__version__}
    return found | imported(requirements.read_text("utf-8"))


def ask(server: Server, rows: list[dict[str, Any]]) -> list[Any]:
    """Return the service's answers for rows; raises `ServingError` when it refuses them."""
    status, body, _ = call(server.host, server.port, "POST", "/predict", rows)
    if status != 200:
        said = body.decode("utf-8", "replace")[:500]
        raise ServingError(f"/predict answered {status}, expected 200: {said}")
    answers = json.loads(body)
    if not isinstance(answers, list):
        raise ServingError(f"/predict answered {str(answers)[:200]}, expected a list of predictions.")
    return answers
