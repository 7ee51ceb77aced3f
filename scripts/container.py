"""Build and run a real container of a run's model, on a machine without a Docker daemon or an image registry.

python scripts/container.py                    the newest run of the project around the working directory
python scripts/container.py --own              and a winner that is half scikit-learn's, half LightGBM's
python scripts/container.py --skippable        end with 0, not 77, when this machine cannot do it

It needs root and Debian (or a relative with apt): Podman comes from apt, the base image is made from Debian packages
and this environment's own Python, and all of it lives in a temporary folder that is removed. The sizes, the time to
readiness and the memory are printed and compared with the limits below.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from base_image import make_base
from own_model import make_project

TOOLS = ("podman", "runc", "netavark", "iptables", "catatonit", "mmdebstrap")  # catatonit: for pods
PORT = 13790
KEY = "only-for-this-test"
MOST_BYTES = (180e6, 250e6, 400e6)  # of an image, unpacked: with NumPy alone, with LightGBM, with scikit-learn
MOST_SECONDS = 2.0  # until ready, on an idle machine
MOST_MEMORY = (110e6, 200e6, 200e6)  # bytes, all processes of the container together: the same images
CLUSTER = "1.34.0"  # version of Kubernetes whose schemas validate the documents
NO_SCHEMA = {"kustomization", "service-monitor"}  # kinds outside the Kubernetes schemas: tests check these
SKIPPED = 77  # the exit code of automake for a skipped test
STRICT = ("--read-only", "--tmpfs", "/tmp:rw,size=64m", "--cap-drop=all", "--security-opt=no-new-privileges")
LIMITS = ("--memory", "512m", "--cpus", "1", "--pids-limit", "128")
BIN = Path(sys.executable).parent


class CheckFailed(Exception):
    """The container does not meet the requirements."""


class Podman:
    """Podman with a separate configuration and store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
        self.building = self.environment | {"CONTAINERS_CONF": str(folder / "build.conf")}
        self.running = self.environment | {"CONTAINERS_CONF": str(folder / "run.conf")}

    def configure(self) -> None:
        """Write its configuration: builds get uv, its cache and certificates as mounts, not in the image."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        processes = min(n for n in (resource.getrlimit(resource.RLIMIT_NPROC)[1], 4_194_304) if n > 0)
        processes = min(processes, int(Path("/proc/sys/kernel/pid_max").read_text()))
        common = (
            f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
            f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{self.folder}/networks"\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        store = f'[storage]\ndriver = "overlay"\ngraphroot = "{self.folder}/store"\nrunroot = "{self.folder}/run"\n'
        uv = 'system-certs = true\ncache-dir = "/run/build/cache"\nlink-mode = "copy"\npython-downloads = "never"\n'
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        mounts = [f"{self.folder}/build:/run/build:rw", f"{BIN}/uv:/usr/local/bin/uv:ro"]
        mounts += [f"{self.folder}/uv.toml:/etc/uv/uv.toml:ro", f"{bundle}:{bundle}:ro"]
        (self.folder / "build" / "cache").mkdir(parents=True, exist_ok=True)
        (self.folder / "uv.toml").write_text(uv)
        (self.folder / "storage.conf").write_text(store)
        (self.folder / "run.conf").write_text(f"[containers]\n{common}")
        (self.folder / "build.conf").write_text(
            f'[containers]\nnetns = "host"\nvolumes = {json.dumps(mounts)}\n{common}'
        )

    def __call__(self, *arguments: str) -> str:
        """Return what a command of Podman's prints; raises `CheckFailed` with its complaint."""
        return command(["podman", *arguments], self.running)

    def clean(self) -> None:
        """Remove pods, containers and images; the folder of the store goes with all the rest."""
        for arguments in (("pod", "rm", "-fa"), ("rm", "-fa", "-t", "2"), ("rmi", "-fa")):
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(["podman", *arguments], env=self.running, capture_output=True, check=False, timeout=60)


def command(arguments: list[str], environment: dict[str, str] | None = None) -> str:
    """Return what a command prints on standard output; raises `CheckFailed` with the end of its error output."""
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise CheckFailed(f"{' '.join(arguments[:3])} ended with {done.returncode}:\n{output}")
    return done.stdout


def find_obstacle() -> str:
    """Return why this machine cannot do it; empty when it can."""
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        return "no Debian with apt"
    if os.geteuid() != 0:
        return "not root, so packages cannot be installed nor a base image made"
    missing = [tool for tool in TOOLS if subprocess.run(["dpkg", "-s", tool], capture_output=True).returncode]
    if missing:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            command(["apt-get", "update", "-qq"], environment)
            command(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], environment)
        except CheckFailed as error:
            return f"packages cannot be installed: {error}"
    return ""


def send_request(path: str, rows: Any = None, key: str = KEY, port: int = PORT) -> tuple[int, bytes]:
    """Return status and body of a request to the container."""
    body = None if rows is None else json.dumps(rows).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def wait(ready: Callable[[], bool], alive: Callable[[], str], start: float, patience: float = 60) -> float:
    """Return the seconds until the service was ready; raises `CheckFailed` if it is not ready in time."""
    while not ready():
        if time.monotonic() - start > patience:
            raise CheckFailed(f"not ready after {patience:.0f} s:\n{alive()}")
        time.sleep(0.02)
    return time.monotonic() - start


def proportional_memory(podman: Podman, name: str) -> int:
    """Return the bytes that all processes of a container hold, shared pages counted once."""
    pids = podman("top", name, "hpid").split()[1:]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def expect(passed: bool, message: str) -> None:
    """Print what was checked; raises `CheckFailed` when it failed."""
    print(f"  {'ok    ' if passed else 'FAILED'} {message}", flush=True)
    if not passed:
        raise CheckFailed(message)


def check_running(podman: Podman, tag: str, model: Path, idle: bool, most: float) -> tuple[float, int]:
    """Run the container as in production with every kind of request; return seconds to ready and bytes of memory."""
    golden = json.loads((model / "golden.json").read_text("utf-8"))
    start = time.monotonic()
    publish = ("-p", f"127.0.0.1:{PORT}:3000", "-e", f"MLNB_API_KEY={KEY}")
    podman("run", "-d", "--name", "service", "--pull=never", *publish, *STRICT, *LIMITS, tag)
    seconds = wait(lambda: send_request("/readyz")[0] == 200, lambda: podman("logs", "service"), start)
    expect(seconds <= MOST_SECONDS or not idle, f"ready after {seconds:.2f} s (at most {MOST_SECONDS:.0f} s when idle)")
    status, body = send_request("/predict", golden["rows"])
    right = (status, json.loads(body)) == (200, golden["predictions"])
    expect(right, f"{status}, {len(golden['rows'])} golden rows, bit by bit")
    status, _ = send_request("/predict", [{"no such column": 1}])
    expect(status == 422, f"a row that does not fit: {status}")
    status, body = send_request("/predict", golden["rows"], key="wrong")
    expect(status == 401, f"another key: {status}" + ("" if status == 401 else f", {body.decode()[:200]}"))
    for path in ("/livez", "/readyz", "/metrics", "/docs.json"):
        expect(send_request(path)[0] == 200, path)
    for _ in range(200):
        send_request("/predict", golden["rows"][:1])
    memory_bytes = proportional_memory(podman, "service")
    own = any((model / "fitted").rglob("*.pkl"))  # a custom estimator imports what it needs
    limit = f"at most {most / 1e6:.0f} MB without a pickle"
    expect(own or memory_bytes <= most, f"{memory_bytes / 1e6:.1f} MB of memory ({limit})")
    output = podman("exec", "service", "python", "-c", "import os; print(os.getuid(), os.access('/home', os.W_OK))")
    who, writes = output.split()
    expect(who != "0" and writes == "False", f"user {who}, and its root cannot be written")
    podman("stop", "-t", "20", "service")
    code = podman("inspect", "service", "--format", "{{.State.ExitCode}}").strip()
    expect(code == "0", f"stopped with exit code {code}")
    podman("rm", "-f", "service")
    return seconds, memory_bytes


def check_without_network(podman: Podman, tag: str) -> None:
    """Run the container with no network at all: it must become ready."""
    address = "http://127.0.0.1:3000/readyz"
    inside = ("exec", "alone", "python", "-c", f"import urllib.request as u; u.urlopen('{address}')")

    def ready() -> bool:
        with suppress(CheckFailed):
            podman(*inside)
            return True
        return False

    podman("run", "-d", "--name", "alone", "--pull=never", "--network=none", "-e", f"MLNB_API_KEY={KEY}", *STRICT, tag)
    seconds = wait(ready, lambda: podman("logs", "alone"), time.monotonic())
    expect(True, f"ready without a network, {seconds:.1f} s")
    podman("rm", "-f", "-t", "2", "alone")


def check_pod(podman: Podman, folder: Path, run: str, tag: str, memory_bytes: int, model: Path) -> None:
    """Write the documents for Kubernetes, validate them strictly, and run the Deployment as a pod."""
    out = folder / "kubernetes"
    memory = ["--memory", str(-(-memory_bytes // 2**20))]
    command([str(BIN / "mlnb"), "deploy", "kubernetes", run, "--image", tag, "--out", str(out), *memory])
    checked = sorted(path for path in out.glob("*.yaml") if path.stem not in NO_SCHEMA)
    validate = [str(BIN / "kubernetes-validate"), "--strict", "-k", CLUSTER, *map(str, checked)]
    done = subprocess.run(validate, capture_output=True, text=True)
    output = (done.stdout + done.stderr).strip()
    clean = done.returncode == 0 and "WARN" not in output
    expect(clean, f"{len(checked)} documents are valid for Kubernetes {CLUSTER}" + ("" if clean else f":\n{output}"))
    deployment = yaml.safe_load((out / "deployment.yaml").read_text("utf-8"))
    deployment["spec"]["replicas"] = 1
    pod = deployment["spec"]["template"]["spec"]
    (service,) = pod["containers"]
    service["ports"][0] |= {"hostPort": PORT, "hostIP": "127.0.0.1"}
    service["imagePullPolicy"] = "Never"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        del service[probe]  # Podman runs curl inside the container, which has none
    service["env"] = [{"name": "MLNB_API_KEY", "value": KEY}]  # versions of Podman disagree on what a secret holds
    play = folder / "play.yaml"
    play.write_text(yaml.safe_dump(deployment, sort_keys=False))
    start = time.monotonic()
    podman("kube", "play", str(play))
    seconds = wait(lambda: send_request("/readyz")[0] == 200, lambda: podman("ps", "-a"), start)
    golden = json.loads((model / "golden.json").read_text("utf-8"))
    status, body = send_request("/predict", golden["rows"])
    right = (status, json.loads(body)) == (200, golden["predictions"])
    expect(right, f"the Deployment as a pod answers the golden rows, ready after {seconds:.1f} s")
    podman("kube", "down", str(play))


def check_image(podman: Podman, options: argparse.Namespace, base: str, name: str) -> str:
    """Build the image of a run of the project around the working directory, check it, and return its figures."""
    folder, tag = podman.folder, f"localhost/mlnb-service:{name}"
    build = [str(BIN / "mlnb"), "containerize", options.run, "--engine", options.engine, "--base", base, "--json"]
    bill = folder / f"{name}.cdx.json"
    image = json.loads(command([*build, "-t", tag, "--sbom", str(bill)], podman.building))
    packages = {package["name"] for package in json.loads(bill.read_text("utf-8"))["components"]}
    heavy = [library for library in ("lightgbm", "scikit-learn") if library in packages]
    size = 2 if "scikit-learn" in heavy else len(heavy)
    title, most = " + ".join(heavy) or "numpy alone", MOST_BYTES[size]
    expect(image["bytes"] <= most, f"{image['bytes'] / 1e6:.0f} MB of image, {title} (at most {most / 1e6:.0f} MB)")
    expect(image["packages"] > 20, f"{image['packages']} packages in the bill of materials, user {image['user']}")
    model = folder / "model"
    shutil.rmtree(model, ignore_errors=True)
    podman("create", "--name", "copied", tag)
    podman("cp", "copied:/home/bentoml/bento/src/model", str(model))
    podman("rm", "copied")
    seconds, memory_bytes = check_running(podman, tag, model, options.idle, MOST_MEMORY[size])
    check_without_network(podman, tag)
    check_pod(podman, folder, options.run, tag, memory_bytes, model)
    return f"{title:24} {image['bytes'] / 1e6:5.0f} {seconds:8.2f} {memory_bytes / 1e6:10.0f}"


def main() -> int:
    """Build, run, check, clean up; return 0, 1 when a check fails, 77 when this machine cannot run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="latest", help="a run's id (default: the newest verified)")
    parser.add_argument("--skippable", action="store_true", help="end with 0 when this machine cannot do it")
    parser.add_argument("--own", action="store_true", help="an image with scikit-learn and LightGBM as well")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work there, and leave all of it for a look")
    parser.add_argument("--idle", action="store_true", help="the machine is idle: hold the time to readiness too")
    parser.add_argument("--engine", choices=["podman", "buildah"], default="podman", help="what builds the image")
    options = parser.parse_args()
    obstacle = find_obstacle()
    if obstacle:
        print(f"SKIPPED: no container was built or run, because this is {obstacle}.", file=sys.stderr)
        return 0 if options.skippable else SKIPPED
    folder = options.keep or Path(tempfile.mkdtemp(prefix="mlnb-container-"))
    podman = Podman(folder)
    start = time.monotonic()
    try:
        podman.configure()
        base = make_base(folder, podman)
        print(f"base image: {time.monotonic() - start:.0f} s", flush=True)
        measured = [check_image(podman, options, base, "ci")]
        if options.own:
            os.chdir(make_project(folder, BIN / "mlnb"))
            options.run = "latest"
            measured.append(check_image(podman, options, base, "own"))
    except (CheckFailed, RuntimeError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    finally:
        if options.keep is None:
            podman.clean()
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(["image                       MB  ready s  memory MB", *measured]))
    print(f"the container meets the requirements ({time.monotonic() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
