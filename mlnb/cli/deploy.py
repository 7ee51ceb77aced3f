"""`mlnb deploy`: what a Kubernetes cluster, or AWS Lambda, is given to run a model."""

import argparse
import platform
import re
import sys
import tempfile
from pathlib import Path

import yaml

from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.monitoring.monitoring_paths import shipped
from mlnb.serving.deploy.kubernetes_manifests import Deployed, manifests, measure_memory
from mlnb.serving.deploy.lambda_package import MOST_UNZIPPED, MOST_UPLOADED, make_package
from mlnb.serving.packaging.bento_server import serving
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.library_requirements import check_shipping, is_remote
from mlnb.serving.packaging.run_bento import LATEST, build_winner, find_winner

NAME = re.compile(r"[a-z]([a-z0-9-]{0,57}[a-z0-9])?")  # 63 characters at most, with room for "-key"


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb deploy`."""
    places = p.add_subparsers(dest="place", required=True, metavar="PLACE")
    cluster = places.add_parser(
        "kubernetes",
        help="Deployment, Service, autoscaler, disruption budget, network policy and service monitor",
        description="write what a Kubernetes cluster needs to run an image of a run's model",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "examples:\n"
            "  mlnb deploy kubernetes --image registry.example/churn:7\n"
            "  mlnb deploy kubernetes --image registry.example/churn:7 --namespace shop --replicas 3\n"
            "  kubectl create secret generic churn-classifier-key --from-literal=key=...   once, first\n"
            "  kubectl apply -k dist/kubernetes\n\n"
            "Without --memory the service is started here and what it holds after some requests is the request;\n"
            "the limit is half as much again. The secret NAME-key holds the API key.\n\n"
            "The pods may go nowhere. Where the setting `predictions` names object storage they keep a prediction\n"
            "log, ship it there, and may go to port 443 and to the cluster's names; --egress says another place.\n"
            "Keys for the storage, such as AWS_ACCESS_KEY_ID, come from the secret NAME-store, where there is one."
        ),
    )
    cluster.add_argument("run", nargs="?", default=LATEST, help="a run's id, or its start (default: the newest proven)")
    cluster.add_argument("--image", help="the image's name, as the cluster pulls it (default: the bento's)")
    cluster.add_argument("--name", help="of all objects (default: the bento's)")
    cluster.add_argument("--namespace", default="default", help="where they live (default: %(default)s)")
    cluster.add_argument("--replicas", type=int, default=2, help="at least so many (default: %(default)s)")
    cluster.add_argument("--most", type=int, default=10, help="at most so many under load (default: %(default)s)")
    cluster.add_argument("--memory", type=int, metavar="MIB", help="what the service needs (default: measured here)")
    cluster.add_argument(
        "--egress", action="append", default=[], metavar="[CIDR:]PORT", help="where the pods may go (default: nowhere)"
    )
    cluster.add_argument("--out", type=Path, help="folder (default: dist/kubernetes)")
    cluster.set_defaults(act=to_kubernetes)
    function = places.add_parser(
        "lambda",
        help="the zip of an AWS Lambda function",
        description="write the zip of an AWS Lambda function that answers with a run's model",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "examples:\n"
            "  mlnb deploy lambda\n"
            "  mlnb deploy lambda 20260102-0304 --out churn.zip\n\n"
            "The zip holds the handler, the request path, the model and this environment's libraries: build it on\n"
            "the architecture that the function will have. It is verified on the golden rows from its files alone.\n"
            "With MLNB_API_KEY in the function's environment requests need the key; else AWS alone decides."
        ),
    )
    function.add_argument(
        "run", nargs="?", default=LATEST, help="a run's id, or its start (default: the newest proven)"
    )
    function.add_argument("--out", type=Path, help="the zip (default: dist/lambda/<name>.zip)")
    function.set_defaults(act=to_lambda)
    p.epilog = "examples:\n  mlnb deploy kubernetes --image registry.example/churn:7\n  mlnb deploy lambda\n"
    p.epilog += "  mlnb deploy kubernetes --help"


def main(args: argparse.Namespace) -> int:
    """Write what the place needs."""
    return int(args.act(args))


def to_kubernetes(args: argparse.Namespace) -> int:
    """Write the documents, one a file, and print how to apply them."""
    project = Project.find()
    run = find_winner(project, args.run)
    bundle, built = build_winner(run)
    name = args.name or bundle.name.replace(".", "-")
    for given, text in (("--name", name), ("--namespace", args.namespace)):
        if not NAME.fullmatch(text):
            raise UsageError(f"{given} {text!r}: expected small letters, digits and dashes, as Kubernetes asks.")
    if not 1 <= args.replicas <= args.most:
        raise UsageError(f"--replicas {args.replicas} --most {args.most}: expected 1 <= replicas <= most.")
    if args.memory is None:
        golden = bundle.read_golden()
        with tempfile.TemporaryDirectory() as folder, serving(built.path, Path(folder, "log")) as server:
            server.wait()
            memory = measure_memory(server, golden.rows)
    else:
        memory = args.memory * 2**20
    image = args.image or built.tag
    log_to, masked = shipped(project, bundle.name), project.settings["predictions_masked"]
    log_to = log_to if is_remote(log_to) else ""  # a folder of this machine is none of the cluster's
    check_shipping((bundle.folder / "requirements.txt").read_text("utf-8"), log_to)
    deployed = Deployed(
        name, image, built.model_tag, memory, args.namespace, args.replicas, args.most,
        log_to=log_to, masked=masked, egress=tuple(args.egress),
    )  # fmt: skip
    out = args.out or project.root / "dist" / "kubernetes"
    for file, document in manifests(deployed).items():
        write_whole(out / f"{file}.yaml", yaml.safe_dump(document, sort_keys=False).encode())
    source = "measured here" if args.memory is None else "as given"
    print(f"{out}  (image {image}, {memory / 2**20:.0f} MiB {source}, from run {run.id})\n\nNext:")
    print(f"  kubectl -n {args.namespace} create secret generic {name}-key --from-literal=key=...")
    if log_to:
        print(f"  kubectl -n {args.namespace} create secret generic {name}-store --from-env-file=...  # {log_to}")
    print(f"  kubectl apply -k {out}")
    return 0


def to_lambda(args: argparse.Namespace) -> int:
    """Write the zip, and print its sizes and how to create the function."""
    project = Project.find()
    run = find_winner(project, args.run)
    bundle = Bundle.read(run.load("service"))
    package = make_package(bundle, args.out or project.root / "dist" / "lambda" / f"{bundle.name}.zip")
    print(f"{package.file}  ({package.zipped / 2**20:.1f} MB, {bundle.model_tag} of run {run.id})")
    print(f"  {package.unzipped / 2**20:.0f} MB unzipped, of {MOST_UNZIPPED / 2**20:.0f} MB that Lambda takes")
    print(f"  {package.rows} golden rows as in the notebook; first answer after {package.cold_seconds:.2f} s here")
    memory = max(256, -(-2 * package.peak // 2**26) * 64)
    name = bundle.name.replace(".", "-")
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    what = f"fileb://{package.file}" if package.zipped <= MOST_UPLOADED else "s3://... (over 50 MB goes through S3)"
    print(
        f"\nNext:\n  aws lambda create-function --function-name {name} --handler handler.handle --runtime {runtime} \\"
    )
    print(f"    --architectures {machine} --memory-size {memory} --timeout 30 --role ARN --zip-file {what}")
    return 0
