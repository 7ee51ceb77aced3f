"""Verifies a built bento over HTTP: it must return the notebook's predictions for the golden rows, bit by bit."""

import json
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlnb
from mlnb.codec import Json, JsonObject
from mlnb.engine.digests import digest_value
from mlnb.errors import ServingError
from mlnb.methods.contracts.certificates import ParityCertificate, VerifiedDigests
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.serving.packaging.bento_server import Launcher, Server, free_port, send_request, start_launcher
from mlnb.serving.packaging.bento_stores import BuiltBento, write_certificate
from mlnb.serving.packaging.bundles import Bundle, digest_tree
from mlnb.serving.packaging.library_requirements import imported_versions
from mlnb.serving.runtime.http_messages import RECOMMEND_ROUTE, ROUTE
from mlnb.serving.runtime.model_parts import read_record
from mlnb.serving.runtime.parity import find_difference
from mlnb.serving.runtime.recommendation_handler import GOLDEN as RECOMMENDED
from mlnb.serving.runtime.request_bodies import MAX_ROWS
from mlnb.serving.runtime.served_tasks import find_served_task
from mlnb.settings import ServiceSettings

ISOLATED = {  # settings of a deployed service do not apply to its parity check
    setting.variable: ""
    for setting in (
        ServiceSettings.api_key,
        ServiceSettings.follow,
        ServiceSettings.log,
        ServiceSettings.shadow,
        ServiceSettings.canary,
    )
}
TOGETHER, ALONE = "all rows in one request", "one row a request"
RECOMMENDATIONS = "recommendations for users"


@dataclass(frozen=True)
class ParityCheck:
    """The result of a parity check, with its durations.

    Attributes:
        certificate: the same for the same bundle.
        start_seconds: seconds until the service responded.
        request_ms: median milliseconds of the requests with one row; 0 where rows are not sent alone.
    """

    certificate: ParityCertificate
    start_seconds: float
    request_ms: float


def start_verification() -> Launcher:
    """Return the process that will serve a bento for its parity check; it starts while the bento is built."""
    return start_launcher(extra=ISOLATED)


def verify_bento(bundle: Bundle, built: BuiltBento, launcher: Launcher, golden: Golden | None = None) -> ParityCheck:
    """Send the golden rows over HTTP, all together and each alone where rows are independent; write the certificate.

    Args:
        bundle: that the bento was built from.
        built: the bento.
        launcher: from `start_verification`.
        golden: rows and the notebook's predictions; None: those that the bundle stores.

    Raises:
        ServingError: a prediction differs, with the first row and field; or the service does not start or respond,
            with the end of its log.
    """
    model = bundle.folder / "model"
    golden, contract = golden or bundle.read_golden(), read_record(ProblemContract, model / "contract.json")
    recommended = read_record(Golden, model / RECOMMENDED) if (model / RECOMMENDED).is_file() else None
    rows, expected = golden.rows, golden.predictions
    independent = find_served_task(contract).handler.independent
    if launcher.process.poll() is not None:  # it ended with a kernel that was resumed from a snapshot
        launcher = start_verification()
    start = time.monotonic()
    server = launcher.serve(built.path, "127.0.0.1", free_port(), workers=1)
    try:
        server.wait("/livez")  # not /readyz, which compares too but does not report the difference
        start_seconds = time.monotonic() - start
        size = MAX_ROWS if independent else max(1, len(rows))
        batches = [rows[at : at + size] for at in range(0, len(rows), size)]
        together = [prediction for batch in batches for prediction in request_predictions(server, batch)]
        alone, milliseconds = list[Json](), list[float]()
        for row in rows if independent else []:
            start = time.perf_counter()
            alone += request_predictions(server, [row])
            milliseconds.append(1000 * (time.perf_counter() - start))
        compared = {TOGETHER: (together, expected)} | ({ALONE: (alone, expected)} if independent else {})
        if recommended is not None:
            items = request_predictions(server, recommended.rows, RECOMMEND_ROUTE)
            compared[RECOMMENDATIONS] = (items, recommended.predictions)
        status, _, _ = send_request(server.host, server.port, "GET", "/readyz")
    finally:
        server.stop(patience=0.0)  # it has nothing to finish, and its temporary files are removed with the folder
        if launcher.own is not None:
            shutil.rmtree(launcher.own, ignore_errors=True)
    for batching, (returned, wanted) in compared.items():
        difference = find_difference(returned, wanted)
        if difference is not None:
            raise ServingError(
                f"The bento {built.tag} and the notebook differ ({batching}): {difference}. "
                "It must not be deployed. Look for a step that the service does in another way than the "
                "notebook, such as an encoder that changed after the model was fitted, then run the stage again."
            )
    if status != 200:
        raise ServingError(f"The bento {built.tag} returns {status} for /readyz, expected 200.")
    certificate = ParityCertificate(
        bento=built.tag,
        model=built.model_tag,
        rows=len(rows),
        requests=len(alone) + len(batches) + (recommended is not None),
        batching=tuple(compared),
        identical=True,
        service=digest_tree(bundle.folder),
        digests=VerifiedDigests(rows=digest_value(rows), predictions=digest_value(expected), model=digest_tree(model)),
        versions=read_versions(bundle.folder / "requirements.txt"),
    )
    write_certificate(built, certificate)
    return ParityCheck(certificate, start_seconds, statistics.median(milliseconds) if milliseconds else 0.0)


def read_versions(requirements: Path) -> dict[str, str]:
    """Return the versions of Python, of mlnb and of the libraries that a bundle's service imports."""
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "mlnb": mlnb.__version__}
    return versions | imported_versions(requirements.read_text("utf-8"))


def request_predictions(server: Server, rows: Sequence[JsonObject], route: str = ROUTE) -> list[Json]:
    """Return the service's predictions for rows. Raises `ServingError` when it refuses them."""
    status, body, _ = send_request(server.host, server.port, "POST", route, rows)
    if status != 200:
        text = body.decode("utf-8", "replace")[:500]
        raise ServingError(f"{route} returned {status}, expected 200: {text}")
    predictions = json.loads(body)
    if not isinstance(predictions, list):
        raise ServingError(f"{route} returned {str(predictions)[:200]}, expected a list of predictions.")
    return predictions
