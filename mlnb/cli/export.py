"""`mlnb export`: export a run's model to ONNX, to text that is read without packages, or signed."""

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

from mlnb.engine.project import Project
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
SIGNED = "signed"  # the files of the model themselves, with a signature


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb export`."""
    p.add_argument(
        "run", nargs="?", default=LATEST, help="run, or version such as @champion (default: newest verified run)"
    )
    p.add_argument(
        "--to", required=True, choices=[*EXPORTERS, SIGNED], help="one ONNX graph, text with a scorer, or signed files"
    )
    p.add_argument("--out", type=Path, help="file, or folder for text and signed (default: in dist)")
    p.add_argument("--key", type=Path, help="signed: PEM file of a private key on an elliptic curve (P-256 ...)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb export --to onnx                        writes dist/edge/<name>.onnx, one graph\n"
        "  mlnb export --to text --out phone/           writes model.txt, model.json, scorer.py\n"
        "  python phone/scorer.py < rows.json           scores with Python alone\n"
        "  python phone/scorer.py < history.json        forecasts the next steps of each series\n\n"
        "  openssl ecparam -name prime256v1 -genkey -noout -out model_key.pem\n"
        "  mlnb export --to signed --key model_key.pem  writes model/ and model.sig (OpenSSF Model Signing)\n\n"
        "ONNX and text are verified on golden rows: ONNX within 1e-9, the scorer within 1e-12.\n"
        'ONNX and signed need extras: pip install "mlnb[edge]", pip install "mlnb[model-signing]".\n'
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
