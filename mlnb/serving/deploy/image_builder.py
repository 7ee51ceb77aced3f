"""Builds the image of a bento: `python -P imager.py engine tag base options`; BENTOML_HOME holds that one alone.

It runs in a process of its own and imports nothing of mlnb. BentoML writes the first stage of the Dockerfile
(an environment with the bento's pinned requirements, the bento beside it) and drives the engine; the last stage
takes these two into a clean base image, without the tools that built them, owned by root and run by a user that
is nobody: nothing that runs can change what runs.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import bentoml
import yaml
from bentoml.container import get_backend, get_containerfile

BUILT = "base-container"  # BentoML's name for its stage
VENV = "/app/.venv"
BENTO = "/home/bentoml/bento"
TRIMMING = Path(__file__).parents[1] / "packaging" / "library_trimming.py"
LAST_STAGE = """
FROM {base}
USER 0
RUN {system}python3 -c 'import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2)'
{environment}
COPY --from={built} {venv} {venv}
COPY --from={built} {bento} {bento}
RUN python -m compileall -q {bento}/src
WORKDIR {bento}
EXPOSE 3000
USER {user}:{user}
ENTRYPOINT {command}
"""
SYSTEM = (
    "{{ ldconfig -p | grep -q libgomp.so.1; }} || {{ apt-get update -q && "
    "apt-get install -q -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*; }}; "
)


def prepare(bento: Path, base: str, kept: list[str]) -> dict[str, Any]:
    """Rewrite what a bento says of its image: this base, nothing compiled, these libraries whole; return all of it."""
    place = bento / "bento.yaml"
    facts: dict[str, Any] = yaml.safe_load(place.read_text("utf-8"))
    minor = facts["image"]["python_version"]
    asked = f"import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '{minor}'.split('.'))))"
    same = f'python3 -c "{asked}" || {{ echo "{base} has $(python3 -V 2>&1), expected Python {minor}" >&2; exit 1; }}'
    trim = f"python ./env/docker/{TRIMMING.name} - {' '.join(kept)} && chmod -R a+rX {VENV}"
    facts["image"] |= {"base_image": base, "commands": [same], "post_commands": [trim]}
    place.write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    return facts


def last_stage(facts: dict[str, Any], base: str, system: list[str], user: int) -> str:
    """Return the stage that becomes the image."""
    environment = {
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": f"{VENV}/bin:$PATH",
        "BENTOML_CONTAINERIZED": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": "/tmp/bentoml",  # the one place that must be writable
        "HOME": "/tmp",
        **{entry["name"]: entry["value"] for entry in facts.get("envs") or []},
    }
    return LAST_STAGE.format(
        base=base,
        system=SYSTEM.format(packages=" ".join(system)) if system else "",
        environment="\n".join(f'ENV {name}="{value}"' for name, value in environment.items()),
        built=BUILT,
        venv=VENV,
        bento=BENTO,
        user=user,
        command=json.dumps(["python", "-P", "-m", "bentoml", "serve", BENTO]),
    )


def build(engine: str, tag: str, base: str, options: dict[str, Any]) -> None:
    """Build the image of the one bento in the store; raises BentoML's error with what the engine said."""
    (bento,) = bentoml.bentos.list()
    facts = prepare(Path(bento.path), base, options.pop("kept"))
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder, "context")
        shutil.copytree(bento.path, context)
        shutil.copy(TRIMMING, context / "env" / "docker")
        for path in context.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        place = Path(folder, "Dockerfile")
        get_containerfile(bento.tag, str(place), enable_buildkit=False)
        place.write_text(
            place.read_text("utf-8") + last_stage(facts, base, options.pop("system"), options.pop("user")), "utf-8"
        )
        get_backend(engine).build(context_path=str(context), file=str(place), tag=(tag,), **options)


if __name__ == "__main__":
    engine, tag, base, options = sys.argv[1:]
    build(engine, tag, base, json.loads(options))
