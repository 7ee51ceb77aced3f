"""`mlnb export`: export a run's model to ONNX, to text that is read without packages, signed, or to MLflow."""

import argparse
import importlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.registry.run_references import run_reference
from mlnb.serving.edge.exports import ExportResult
from mlnb.serving.edge.signed_export import MODEL, export_signed
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.packaged_runs import LATEST, find_packaged_run

EXPORTERS = {  # module of mlnb.serving.edge, and function
    "onnx": ("onnx.onnx_export", "export_onnx"),
    "text": ("portable_export", "export_text"),
}
MLFLOW = "mlflow"  # a tracking store
SIGNED = "signed"  # the files of the model themselves, with a signature


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb export`."""
    p.add_argument(
        "run", nargs="?", default=LATEST, help="run, or version such as @champion (default: newest verified run)"
    )
    p.add_argument(
        "--to",
        required=True,
        choices=[*EXPORTERS, SIGNED, MLFLOW],
        help="ONNX graph, text and scorer, signed files, or MLflow",
    )
    p.add_argument("--out", type=Path, help="file, or folder for text and signed (default: in dist)")
    p.add_argument("--key", type=Path, help="signed: PEM file of a private key on an elliptic curve (P-256 ...)")
    p.add_argument("--uri", default="", help="mlflow: tracking store (default: MLFLOW_TRACKING_URI)")
    p.add_argument("--experiment", default="", help="mlflow: experiment (default: the project's name)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb export --to onnx                        writes dist/edge/<name>.onnx, one graph\n"
        "  mlnb export --to text --out phone/           writes model.txt, model.json, scorer.py\n"
        "  python phone/scorer.py < rows.json           scores with Python alone\n"
        "  python phone/scorer.py < history.json        forecasts the next steps of each series\n\n"
        "  openssl ecparam -name prime256v1 -genkey -noout -out model_key.pem\n"
        "  mlnb export --to signed --key model_key.pem  writes model/ and model.sig (OpenSSF Model Signing)\n"
        "  mlnb export --to mlflow --uri sqlite:///mlflow.db   logs parameters, metrics, tags, files, model\n\n"
        "ONNX and text are verified on golden rows: ONNX within 1e-9, the scorer within 1e-12.\n"
        "A model in MLflow is a pyfunc with signature; its predictions are compared with those of the service.\n"
        'ONNX, signed and mlflow need extras: pip install "mlnb[edge]", "mlnb[model-signing]", "mlnb[mlflow]".\n'
        "A model that has no such form is refused with the reason.\n\n"
        "exit codes: 0 exported and verified, 2 the model has no such form, 3 the predictions differ"
    )


def main(args: argparse.Namespace) -> int:
    """Export and verify the model; return 0."""
    project = Project.find()
    run = find_packaged_run(project, run_reference(project, args.run))
    bundle = Bundle.read(run.load("service"))
    if (args.key is not None) != (args.to == SIGNED):
        raise UsageError("--key is for `mlnb export --to signed`, which needs it: a private key on an elliptic curve.")
    if (args.uri or args.experiment) and args.to != MLFLOW:
        raise UsageError("--uri and --experiment are for `mlnb export --to mlflow`.")
    if args.to == MLFLOW:
        return _log_to_mlflow(run, args)
    if args.to == SIGNED:
        out = args.out or project.root / "dist" / SIGNED / bundle.name
        signature = export_signed(bundle.folder / "model", out, args.key)
        if args.json:
            print(json.dumps({"out": str(out), "signature": str(signature), "run": run.id, "model": bundle.model_tag}))
        else:
            print(f"{signature}  (files of {bundle.model_tag} of run {run.id} in {out / MODEL})")
        return 0
    default = f"{bundle.name}.onnx" if args.to == "onnx" else bundle.name
    out = args.out or project.root / "dist" / "edge" / default
    module, function = EXPORTERS[args.to]
    export = getattr(importlib.import_module(f"mlnb.serving.edge.{module}"), function)
    result: ExportResult = export(bundle.folder / "model", out)
    if args.json:
        print(json.dumps(asdict(result) | {"out": str(out), "run": run.id, "model": bundle.model_tag}))
        return 0
    print(f"{out}  ({result.bytes / 1000:,.0f} kB, {bundle.model_tag} of run {run.id})")
    print(
        f"  {result.rows} golden rows: largest difference {result.largest_difference:.1e}, "
        f"tolerance {result.tolerance:.0e}"
    )
    return 0


def _log_to_mlflow(run: Run, args: argparse.Namespace) -> int:
    """Log the run and its model to a tracking store; return 0."""
    from mlnb.api.mlflow_export import export_to_mlflow

    uri = args.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri or args.out is not None:
        raise UsageError("--to mlflow needs --uri, such as sqlite:///mlflow.db, or MLFLOW_TRACKING_URI; and no --out.")
    logged = export_to_mlflow(run, uri, args.experiment)
    if args.json:
        print(json.dumps(to_json(logged)))
        return 0
    print(f"{logged.mlflow_run}  run {logged.run} in experiment {logged.experiment!r} of {logged.uri}")
    parity = f"{logged.rows} golden rows predicted as by the service" if logged.rows else "golden requests replayed"
    print(f"  model: {logged.model} ({parity})")
    return 0
