"""`mlnb export`: export a run's model to ONNX, to text that is read without packages, signed, or to MLflow."""

import argparse
import importlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from mlnb.api.several_models import ModelOutcome
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.cli.output_location import check_output
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
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
        "run", nargs="?", default="", help="run, or version such as @champion (default: newest verified run)"
    )
    p.add_argument(
        "--to",
        required=True,
        choices=[*EXPORTERS, SIGNED, MLFLOW],
        help="ONNX graph, text and scorer, signed files, or MLflow",
    )
    add_filters(p)
    p.add_argument("--out", type=Path, help="file, or folder for text, signed and several models (default: in dist)")
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
        "  mlnb export --to onnx --all --out edge       edge/<name>.onnx of the champion of each model\n"
        "  mlnb export --to mlflow --uri sqlite:///mlflow.db   logs parameters, metrics, tags, files, model\n\n"
        "ONNX and text are verified on golden rows: ONNX within 1e-9, the scorer within 1e-12.\n"
        "A model in MLflow is a pyfunc with signature; its predictions are compared with those of the service.\n"
        'ONNX, signed and mlflow need extras: pip install "mlnb[edge]", "mlnb[model-signing]", "mlnb[mlflow]".\n'
        f"A model that has no such form is refused with the reason.\n{FILTERS}\n\n"
        "exit codes: 0 exported and verified, 2 the model has no such form, 3 the predictions differ"
    )


def main(args: argparse.Namespace) -> int:
    """Export and verify a model, or each of several; return the exit code."""
    project = Project.find()
    several = selects_several(args, args.run)
    if (args.key is not None) != (args.to == SIGNED):
        raise UsageError("--key is for `mlnb export --to signed`, which needs it: a private key on an elliptic curve.")
    if (args.uri or args.experiment) and args.to != MLFLOW:
        raise UsageError("--uri and --experiment are for `mlnb export --to mlflow`.")
    _check_location(project, args, several)
    if not several:
        export_run(project, find_packaged_run(project, run_reference(project, args.run or LATEST)), args, args.out)
        return 0
    registry = Registry(project)
    registry.sync()

    def export_version(version: ModelVersion) -> ModelOutcome:
        name = f"{version.model}.onnx" if args.to == "onnx" else version.model
        out = None if args.out is None else args.out / name
        return ModelOutcome("exported", note=export_run(project, find_packaged_run(project, version.run), args, out))

    return for_each_model(project, selected_models(registry, args), export_version, args.json)


def _check_location(project: Project, args: argparse.Namespace, several: bool) -> None:
    """Check that the output can be written, or that the tracking store responds. Raises `UsageError` otherwise."""
    if args.to == MLFLOW:
        from mlnb.api.mlflow_store import check_store

        check_store(_tracking_uri(args))
    else:
        check_output(
            args.out or _default_folder(project, args.to), is_folder=several or args.out is None or args.to != "onnx"
        )


def _default_folder(project: Project, form: str) -> Path:
    """Return where models are written in a form, such as "onnx", without --out."""
    return project.root / "dist" / (SIGNED if form == SIGNED else "edge")


def export_run(project: Project, run: Run, args: argparse.Namespace, out: Path | None) -> str:
    """Export and verify the model of a run, print what was written, and return where it is.

    Args:
        project: The project.
        run: A run with a packaged model.
        args: The options of the command.
        out: File or folder to write; None: below the folder dist of the project.
    """
    bundle = Bundle.read(run.load("service"))
    if args.to == MLFLOW:
        return _log_to_mlflow(run, args)
    if args.to == SIGNED:
        out = out or _default_folder(project, SIGNED) / bundle.name
        signature = export_signed(bundle.folder / "model", out, args.key)
        if args.json:
            print(json.dumps({"out": str(out), "signature": str(signature), "run": run.id, "model": bundle.model_tag}))
        else:
            print(f"{signature}  (files of {bundle.model_tag} of run {run.id} in {out / MODEL})")
        return str(out)
    default = f"{bundle.name}.onnx" if args.to == "onnx" else bundle.name
    out = out or _default_folder(project, args.to) / default
    module, function = EXPORTERS[args.to]
    export = getattr(importlib.import_module(f"mlnb.serving.edge.{module}"), function)
    result: ExportResult = export(bundle.folder / "model", out)
    if args.json:
        print(json.dumps(asdict(result) | {"out": str(out), "run": run.id, "model": bundle.model_tag}))
        return str(out)
    print(f"{out}  ({result.bytes / 1000:,.0f} kB, {bundle.model_tag} of run {run.id})")
    print(
        f"  {result.rows} golden rows: largest difference {result.largest_difference:.1e}, "
        f"tolerance {result.tolerance:.0e}"
    )
    return str(out)


def _tracking_uri(args: argparse.Namespace) -> str:
    """Return the URI of the tracking store. Raises `UsageError` when none is stated, or an output is."""
    uri: str = args.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri or args.out is not None:
        raise UsageError("--to mlflow needs --uri, such as sqlite:///mlflow.db, or MLFLOW_TRACKING_URI; and no --out.")
    return uri


def _log_to_mlflow(run: Run, args: argparse.Namespace) -> str:
    """Log the run and its model to a tracking store; return the URI of the model."""
    from mlnb.api.mlflow_export import export_to_mlflow

    logged = export_to_mlflow(run, _tracking_uri(args), args.experiment)
    if args.json:
        print(json.dumps(to_json(logged)))
        return logged.model
    print(f"{logged.mlflow_run}  run {logged.run} in experiment {logged.experiment!r} of {logged.uri}")
    parity = f"{logged.rows} golden rows predicted as by the service" if logged.rows else "golden requests replayed"
    print(f"  model: {logged.model} ({parity})")
    return logged.model
