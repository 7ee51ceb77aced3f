"""`mlnb export`: a run's model for places without this environment: ONNX, or text that Python alone reads."""

import argparse
import importlib
import json
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.run_bento import LATEST, find_winner

FORMS = {
    "onnx": ("onnx.onnx_export", "export_onnx"),
    "text": ("portable_export", "export_text"),
}  # module of mlnb.serving.edge, function


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb export`."""
    p.add_argument("run", nargs="?", default=LATEST, help="a run's id, or its start (default: the newest proven)")
    p.add_argument("--to", required=True, choices=list(FORMS), help="one ONNX graph, or text with a scorer in Python")
    p.add_argument("--out", type=Path, help="file, or for text a folder (default: below dist/edge)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb export --to onnx                        dist/edge/<name>.onnx: all in one graph\n"
        "  mlnb export --to text --out phone/           model.txt, model.json, scorer.py\n"
        "  python phone/scorer.py < rows.json           Python alone, no packages\n"
        "  python phone/scorer.py < history.json        of a forecast: the steps that follow each series\n\n"
        "Both are verified on the golden rows before they are left: ONNX within 1e-9, the scorer within 1e-12.\n"
        'ONNX needs the edge set: pip install "mlnb[edge]". What a form cannot say is refused with the reason.\n\n'
        "exit codes: 0 exported and verified, 2 this model has no such form, 3 the answers differ"
    )


def main(args: argparse.Namespace) -> int:
    """Export, verify, and print what was verified."""
    project = Project.find()
    run = find_winner(project, args.run)
    bundle = Bundle.read(run.load("service"))
    default = f"{bundle.name}.onnx" if args.to == "onnx" else bundle.name
    out = args.out or project.root / "dist" / "edge" / default
    module, function = FORMS[args.to]
    facts = getattr(importlib.import_module(f"mlnb.serving.edge.{module}"), function)(bundle.folder / "model", out)
    if args.json:
        print(json.dumps(facts | {"out": str(out), "run": run.id, "model": bundle.model_tag}))
        return 0
    print(f"{out}  ({facts['bytes'] / 1000:,.0f} kB, {bundle.model_tag} of run {run.id})")
    print(
        f"  {facts['rows']} golden rows: largest difference {facts['largest_difference']:.1e}, "
        f"tolerance {facts['tolerance']:.0e}"
    )
    return 0
