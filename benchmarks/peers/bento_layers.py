"""BentoML services by layer: LAYER is `pipeline`, `api`, `batched` or `mounted`."""

import os
from pathlib import Path
from typing import Any

import bentoml

from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.predictor import Predictor

FOLDER, LAYER = Path(os.environ["PEERS"]), os.environ["LAYER"]
if LAYER == "pipeline":
    from peers.fastapi_recipe import predict_rows


@bentoml.service
class Layers:
    """Answers rows by BentoML's own means."""

    def __init__(self) -> None:
        if LAYER in ("api", "batched"):
            self.predictor = Predictor.load(FOLDER / "bundle" / "model")

    if LAYER == "batched":

        @bentoml.api(
            batchable=True, max_batch_size=64, max_latency_ms=2000
        )  # a minute, its default: it hangs; 100: it refuses some
        def predict(self, rows: list[dict[str, Any]], /) -> list[dict[str, Any]]:
            """Answers rows, several requests at a time."""
            return self.predictor.predict(rows)

    elif LAYER != "mounted":

        @bentoml.api
        def predict(self, rows: list[dict[str, Any]], /) -> list[dict[str, Any]]:
            """Answers rows."""
            return predict_rows(rows) if LAYER == "pipeline" else self.predictor.predict(rows)


if LAYER == "mounted":
    from starlette.applications import Starlette
    from starlette.routing import Route

    class Lazy:
        """The endpoint, loaded by the first request: the supervisor imports this module too."""

        endpoint: Endpoint | None = None

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Answer."""
            self.endpoint = self.endpoint or Endpoint(FOLDER / "bundle" / "model")
            await self.endpoint(scope, receive, send)

    Layers.mount_asgi_app(Starlette(routes=[Route("/predict", Lazy(), methods=["POST"])]))
