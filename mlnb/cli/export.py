"""`mlnb export`: export a run's model to ONNX, or to text that is read without packages."""

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.registry.run_references import run_reference
from mlnb.serving.edge.exports import ExportResult
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.packaged_runs import LATEST, find_packaged_run

EXPORTERS = {  # module of mlnb.serving.edge, and function
    "onnx": ("onnx.onnx_export", "export_onnx"),
    "text": ("portable_export", "export_text"),
}


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb export`."""
    p.add_argument(
        "run", nargs="?", default=LATEST, help="run, or version such as @champion (default: newest verified run)"
    )
    p.add_argument("--to", required=True, choices=list(EXPORTERS), help="one ONNX graph, or text files with a scorer")
    p.add_argument("--out", type=Path, help="file, or folder for text (default: in dist/edge)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb export --to onnx                        writes dist/edge/<name>.onnx, one graph\n"
        "  mlnb export --to text --out phone/           writes model.txt, model.json, scorer.py\n"
        "  python phone/scorer.py < rows.json           scores with Python alone\n"
        "  python phone/scorer.py < history.json        forecasts the next steps of each series\n\n"
        "Both are verified on golden rows: ONNX within 1e-9, the scorer within 1e-12.\n"
        'ONNX needs an extra: pip install "mlnb[edge]". A model that has no such form is refused with the reason.\n\n'
        "exit codes: 0 exported and verified, 2 the model has no such form, 3 the predictions differ"
    )


def main(args: argparse.Namespace) -> int:
    """Export and verify the model; return 0."""
    project = Project.find()
    run = find_packaged_run(project, run_reference(project, args.run))
    bundle = Bundle.read(run.load("service"))
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
