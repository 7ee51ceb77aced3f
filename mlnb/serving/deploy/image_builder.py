"""Builds a bento's image: `python -P image_builder.py engine tag base stages options`; BENTOML_HOME has one bento.

It runs in a separate process and imports nothing of mlnb. BentoML writes the first stage of the Dockerfile (an
environment with the bento's pinned requirements, and the bento) and calls the engine. The last stage copies these two
into a clean base image, without build tools, owned by root and run by an unprivileged user: a running service cannot
change its code.
"""

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import yaml
from bentoml.container import get_backend, get_containerfile

BUILT = "base-container"  # BentoML's name for its stage
VENV = "/app/.venv"
BENTO = "/home/bentoml/bento"
TRIMMING = Path(__file__).parents[1] / "packaging" / "library_trimming.py"
COMPILER = Path(__file__).with_name("image_compiler.py")
STARTER = Path(__file__).with_name("image_start.py")
OWN_CLASS = b"service_class=PredictionService"  # in the source of a service that a process can serve alone
WORKER = Path("src", "mlnb", "serving", "runtime", "service_worker.py")  # of a bento, which may be of another version
LAST_STAGE = """
FROM {base}
USER 0
{system}{environment}
COPY --from={built} {venv} {venv}
COPY --from={built} {bento} {bento}
RUN python -P {bento}/env/docker/{compiler} {bento} && rm -rf /tmp/*
WORKDIR {bento}
EXPOSE 3000
USER {user}:{user}
ENTRYPOINT {command}
"""
SYSTEM = (
    "RUN {{ ldconfig -p | grep -q libgomp.so.1; }} || {{ apt-get update -q && "
    "apt-get install -q -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*; }}\n"
)


@dataclass(frozen=True)
class Stages:
    """What mlnb adds to BentoML's Dockerfile.

    Attributes:
        system: Debian packages of the last stage.
        whole: libraries that lose only their tests.
        user: number of the user that runs the service.
    """

    system: list[str]
    whole: list[str]
    user: int


def prepare(bento: Path, base: str, whole: list[str]) -> dict[str, str]:
    """Rewrite a bento's description of its image: this base, a check of its Python, trimmed libraries.

    The schema is left out: it is that of `/docs.json`, which a service makes from its model, and takes time to read.

    Returns:
        the environment variables of the bento.
    """
    path = bento / "bento.yaml"
    description = yaml.safe_load(path.read_text("utf-8"))
    minor = description["image"]["python_version"]
    test = f"import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '{minor}'.split('.'))))"
    check = f'python3 -c "{test}" || {{ echo "{base} has $(python3 -V 2>&1), expected Python {minor}" >&2; exit 1; }}'
    trim = f"python ./env/docker/{TRIMMING.name} - {' '.join(whole)} && chmod -R a+rX {VENV}"
    description["image"] |= {"base_image": base, "commands": [check], "post_commands": [trim]}
    description["schema"] = {}
    path.write_text(yaml.safe_dump(description, sort_keys=False), "utf-8")
    return {entry["name"]: entry["value"] for entry in description.get("envs") or []}


def start_command(bento: Path) -> list[str]:
    """Return the command that starts a bento in its image: with BentoML's where the service is not one of mlnb's."""
    service = yaml.safe_load((bento / "bento.yaml").read_text("utf-8"))["service"]
    source = bento / "src" / f"{service.partition(':')[0].replace('.', '/')}.py"
    if (bento / WORKER).is_file() and source.is_file() and OWN_CLASS in source.read_bytes():
        return ["python", "-P", f"{BENTO}/env/docker/{STARTER.name}", BENTO]
    return ["python", "-P", "-m", "bentoml", "serve", BENTO]


def last_stage(variables: dict[str, str], base: str, system: list[str], user: int, command: list[str]) -> str:
    """Return the stage that becomes the image."""
    environment = {
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNODEBUGRANGES": "1",  # smaller modules, in files and in memory; tracebacks have lines, but no columns
        "PATH": f"{VENV}/bin:$PATH",
        "BENTOML_CONTAINERIZED": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": "/tmp/bentoml",  # the only folder that must be writable
        "HOME": "/tmp",
        **variables,
    }
    return LAST_STAGE.format(
        base=base,
        system=SYSTEM.format(packages=" ".join(system)) if system else "",
        environment="\n".join(f'ENV {name}="{value}"' for name, value in environment.items()),
        built=BUILT,
        venv=VENV,
        bento=BENTO,
        compiler=COMPILER.name,
        user=user,
        command=json.dumps(command),
    )


def build(engine: str, tag: str, base: str, stages: Stages, options: Any) -> None:
    """Build the image of the one bento in the store. Raises BentoML's error with the engine's output."""
    (bento,) = bentoml.bentos.list()
    variables = prepare(Path(bento.path), base, stages.whole)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder, "context")
        shutil.copytree(bento.path, context)
        for program in (TRIMMING, COMPILER, STARTER):
            shutil.copy(program, context / "env" / "docker")
        for path in context.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        file = Path(folder, "Dockerfile")
        get_containerfile(bento.tag, str(file), enable_buildkit=False)
        added = last_stage(variables, base, stages.system, stages.user, start_command(Path(bento.path)))
        file.write_text(file.read_text("utf-8") + added, "utf-8")
        get_backend(engine).build(context_path=str(context), file=str(file), tag=(tag,), **options)


if __name__ == "__main__":
    engine, tag, base, stages, options = sys.argv[1:]
    build(engine, tag, base, Stages(**json.loads(stages)), json.loads(options))
