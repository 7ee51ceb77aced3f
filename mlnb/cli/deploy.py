"""`mlnb deploy`: write Kubernetes manifests or an AWS Lambda package for a run's model."""

import argparse
import platform
import re
import shlex
import sys
import tempfile
from pathlib import Path

import yaml

from mlnb.api.several_models import ModelOutcome
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.cli.output_location import check_output
from mlnb.cli.selected_bento import add_options, build_selected
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.monitoring.monitoring_paths import shipped
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.run_references import run_reference
from mlnb.serving.deploy.kubernetes_manifests import (
    KubernetesDeployment,
    make_manifests,
    measure_memory,
    prediction_requests,
)
from mlnb.serving.deploy.lambda_package import MOST_UNZIPPED, MOST_UPLOADED, build_lambda_package
from mlnb.serving.packaging.bento_server import serving
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.library_requirements import check_shipping, is_remote
from mlnb.serving.packaging.packaged_runs import LATEST, find_packaged_run
from mlnb.settings import ProcessSettings
from mlnb.url_passwords import has_password, mask_passwords

NAMES = "--models"  # option with the pattern of names: --name is that of the objects
NAME = re.compile(r"[a-z]([a-z0-9-]{0,57}[a-z0-9])?")  # 63 characters at most, with room for "-key"


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb deploy`."""
    targets = p.add_subparsers(dest="target", required=True, metavar="TARGET")
    cluster = targets.add_parser(
        "kubernetes",
        help="write Kubernetes manifests",
        description="write Kubernetes manifests for the image of a run's model: Deployment, Service,\n"
        "HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy and ServiceMonitor",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "examples:\n"
            "  mlnb deploy kubernetes --image registry.example/churn:7\n"
            "  mlnb deploy kubernetes --image registry.example/churn:7 --namespace shop --replicas 3\n"
            "  mlnb deploy kubernetes --all --image registry.example/churn-models:1    one service of all models\n"
            "  kubectl create secret generic churn-classifier-key --from-literal=key=...   once, first\n"
            "  kubectl apply -k dist/kubernetes\n\n"
            "Without --memory the service is started here, and its memory after some requests is the request; the\n"
            "limit is 1.5 times as much. The secret NAME-key has the API key; the secret NAME-personal has the key of\n"
            "pseudonyms (MLNB_PERSONAL_KEY), if the model needs it.\n\n"
            "The pods have no egress. If the setting `predictions` names object storage, they copy the prediction log\n"
            "there and have egress to port 443 and to the DNS of the cluster; --egress allows other destinations.\n"
            "Credentials of the storage, such as AWS_ACCESS_KEY_ID, come from the secret NAME-store, if it exists."
        ),
    )
    add_options(cluster, NAMES)
    cluster.add_argument("--image", help="name of the image in the registry (default: that of the bento)")
    cluster.add_argument("--name", dest="objects", help="name of all objects (default: that of the bento)")
    cluster.add_argument("--namespace", default="default", help="namespace (default: %(default)s)")
    cluster.add_argument("--replicas", type=int, default=2, help="minimum number of pods (default: %(default)s)")
    cluster.add_argument("--max-replicas", type=int, default=10, help="maximum number of pods (default: %(default)s)")
    cluster.add_argument("--memory", type=int, metavar="MIB", help="memory of a pod (default: measured here)")
    cluster.add_argument(
        "--egress", action="append", default=[], metavar="[CIDR:]PORT", help="allowed egress (default: none)"
    )
    cluster.add_argument("--out", type=Path, help="folder (default: dist/kubernetes)")
    cluster.set_defaults(write=to_kubernetes)
    function = targets.add_parser(
        "lambda",
        help="write the package of an AWS Lambda function",
        description="write the package of an AWS Lambda function that serves a run's model",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "examples:\n"
            "  mlnb deploy lambda\n"
            "  mlnb deploy lambda 20260102-0304 --out churn.zip\n"
            "  mlnb deploy lambda --all          a function, and a package, for the champion of each model\n\n"
            "The package has the handler, the request path, the model and this environment's libraries: build it on\n"
            "the architecture of the function. It is verified on golden rows from its own files. With MLNB_API_KEY in\n"
            "the environment of the function requests need the key; otherwise AWS alone authorizes them. A model with\n"
            f"pseudonyms needs MLNB_PERSONAL_KEY there, the key of training.\n\n{FILTERS}"
        ),
    )
    function.add_argument(
        "run", nargs="?", default="", help="run, or version such as @champion (default: newest verified run)"
    )
    add_filters(function)
    function.add_argument("--out", type=Path, help="file; folder for several models (default: dist/lambda/<name>.zip)")
    function.set_defaults(write=to_lambda)
    p.epilog = "examples:\n  mlnb deploy kubernetes --image registry.example/churn:7\n  mlnb deploy lambda\n"
    p.epilog += "  mlnb deploy kubernetes --help"


def main(args: argparse.Namespace) -> int:
    """Write the files for the target; return 0."""
    return int(args.write(args))


def to_kubernetes(args: argparse.Namespace) -> int:
    """Write the make_manifests, one per file, and print how to apply them; return 0."""
    project = Project.find()
    out = args.out or project.root / "dist" / "kubernetes"
    check_output(out, is_folder=True)
    selected = build_selected(project, args)
    bundle, built = selected.source, selected.built
    name = args.objects or bundle.name.replace(".", "-")
    for option, text in (("--name", name), ("--namespace", args.namespace)):
        if not NAME.fullmatch(text):
            raise UsageError(f"{option} is {text!r}; expected lower-case letters, digits and dashes, as in Kubernetes.")
    if not 1 <= args.replicas <= args.max_replicas:
        raise UsageError(
            f"--replicas is {args.replicas} and --max-replicas {args.max_replicas}; "
            "expected 1 <= replicas <= max-replicas."
        )
    if args.memory is None:
        requests = prediction_requests(bundle)
        with tempfile.TemporaryDirectory() as folder, serving(built.path, Path(folder, "log")) as server:
            server.wait()
            memory = measure_memory(server, requests)
    else:
        memory = args.memory * 2**20
    image = args.image or built.tag
    log_to, masked = (
        shipped(project, bundle.name if bundle.model_version else ""),
        ",".join(project.settings.predictions_masked),
    )
    log_to = log_to if is_remote(log_to) else ""  # a folder of this machine is not accessible from the cluster
    if has_password(log_to):
        raise UsageError(
            f"The setting predictions, {mask_passwords(log_to)}, has a password, which every reader of the manifests "
            "would see: expected a URL without. The credentials of the storage belong into the secret NAME-store."
        )
    check_shipping((bundle.folder / "requirements.txt").read_text("utf-8"), log_to)
    deployed = KubernetesDeployment(
        name, image, built.model_tag, memory, args.namespace, args.replicas, args.max_replicas,
        log_to=log_to, masked=masked, egress=tuple(args.egress), pseudonyms=bool(bundle.pseudonymized),
    )  # fmt: skip
    for file, document in make_manifests(deployed).items():
        write_whole(out / f"{file}.yaml", yaml.safe_dump(document, sort_keys=False).encode())
    source = "measured here" if args.memory is None else "from --memory"
    print(f"{out}  (image {image}, {memory / 2**20:.0f} MiB {source}, from {selected.origin})\n\nnext:")
    print(f"  kubectl -n {args.namespace} create secret generic {name}-key --from-literal=key=...")
    if deployed.pseudonyms:
        variable = ProcessSettings.personal_key.variable
        print(f"  kubectl -n {args.namespace} create secret generic {name}-personal --from-file=key=...  # {variable}")
    if log_to:
        print(f"  kubectl -n {args.namespace} create secret generic {name}-store --from-env-file=...  # {log_to}")
    print(f"  kubectl apply -k {shlex.quote(str(out))}")
    return 0


def to_lambda(args: argparse.Namespace) -> int:
    """Write the package of a model, or one of each of several; return the exit code."""
    project = Project.find()
    several = selects_several(args, args.run)
    check_output(args.out or project.root / "dist" / "lambda", is_folder=several or args.out is None)
    if not several:
        _package_run(project, find_packaged_run(project, run_reference(project, args.run or LATEST)), args.out)
        return 0
    registry = Registry(project)
    registry.sync()

    def package_version(version: ModelVersion) -> ModelOutcome:
        out = None if args.out is None else args.out / f"{version.model}.zip"
        return ModelOutcome("packaged", note=_package_run(project, find_packaged_run(project, version.run), out))

    return for_each_model(project, selected_models(registry, args), package_version)


def _package_run(project: Project, run: Run, out: Path | None) -> str:
    """Write the package of a run's model, print its sizes and how to create the function, and return the file."""
    bundle = Bundle.read(run.load("service"))
    package = build_lambda_package(bundle, out or project.root / "dist" / "lambda" / f"{bundle.name}.zip")
    print(f"{package.file}  ({package.zipped / 2**20:.1f} MB, {bundle.model_tag} of run {run.id})")
    print(f"  {package.unzipped / 2**20:.0f} MB unzipped, of at most {MOST_UNZIPPED / 2**20:.0f} MB")
    print(f"  {package.rows} golden rows verified; first response after {package.cold_seconds:.2f} s here")
    memory = max(256, -(-2 * package.peak // 2**26) * 64)
    name = bundle.name.replace(".", "-")
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    what = (
        shlex.quote(f"fileb://{package.file}")
        if package.zipped <= MOST_UPLOADED
        else "s3://... (over 50 MB goes through S3)"
    )
    print(
        f"\nnext:\n  aws lambda create-function --function-name {name} --handler handler.handle --runtime {runtime} \\"
    )
    print(f"    --architectures {machine} --memory-size {memory} --timeout 30 --role ARN --zip-file {what}")
    if columns := bundle.pseudonymized:
        variable = ProcessSettings.personal_key.variable
        print(f"  set {variable} of the function from a secret: the key of training, for {', '.join(columns)}")
    return str(package.file)
