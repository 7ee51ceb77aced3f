"""A bare Starlette endpoint around the same model call as mlnb's service: no checks, no counters, no limits."""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mlnb.serving.runtime.predictor import Predictor

predictor = Predictor.load(Path(os.environ["PEERS"]) / "bundle" / "model")


async def predict(request: Request) -> JSONResponse:
    return JSONResponse(predictor.predict(await request.json()))


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
