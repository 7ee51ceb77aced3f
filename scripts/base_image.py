"""A base image with this environment's own Python, made of Debian packages, without a registry."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

SMALL = (
    "base-files base-passwd libc6 libc-bin dash bash coreutils passwd netbase mawk ca-certificates libgomp1 libstdc++6"
)
SHARED = (
    "libssl3 libffi8 libsqlite3-0 libbz2-1.0 liblzma5 libreadline8 zlib1g libuuid1 libexpat1 libncursesw6 libnsl2 "
    "libcrypt1"
)
LEFT_OUT = ("site-packages", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data")
LEFT_OUT_ANYWHERE = ("test", "tests", "__pycache__")  # official images of Python have neither, too
MODULES = "import ssl, sqlite3, ctypes, lzma, bz2, zlib, uuid"  # each needs a library of Debian's


def make_base(folder: Path, podman: Callable[..., str]) -> str:
    """Return the name of the base image, made in `folder`; raises CalledProcessError when a step fails."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix)
    root = folder / "base"
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    debian = prefix == Path("/usr")
    packages = [*SMALL.split(), *([f"python{version}"] if debian else SHARED.split())]
    hooks = "/usr/share/mmdebstrap/hooks/merged-usr"
    build = ["mmdebstrap", "--quiet", "--variant=extract", "--mode=root", f"--hook-dir={hooks}", "--skip=cleanup"]
    _run(*build, f"--include={','.join(packages)}", release["VERSION_CODENAME"], str(root))
    _list_packages(root)
    _tidy(root)
    if not debian:
        _copy_python(prefix, root, version)
    program = f"/usr/bin/python{version}" if debian else f"/usr/local/bin/python{version}"
    (root / program.lstrip("/")).with_name("python3").unlink(missing_ok=True)
    (root / program.lstrip("/")).with_name("python3").symlink_to(f"python{version}")
    (root / "usr/bin/awk").symlink_to("mawk")  # as the package's own script would; BentoML compares versions with it
    _run("ldconfig", "-r", str(root))
    _run("chroot", str(root), program, "-B", "-c", MODULES)
    archive = folder / "base.tar"
    _run("tar", "-C", str(root), "--numeric-owner", "-cf", str(archive), ".")
    name = f"localhost/python:{version}-slim"
    podman("import", "-q", "-c", 'CMD ["python3"]', str(archive), name)
    archive.unlink()
    shutil.rmtree(root)
    return name


def _run(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")


def _list_packages(root: Path) -> None:
    """List in the image the packages it was made of: dpkg's own list stays empty when they are only unpacked."""
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True, exist_ok=True)
    for archive in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        fields = subprocess.run(["dpkg-deb", "-f", str(archive)], capture_output=True, text=True, check=True).stdout
        name = re.findall(r"^Package: (.*)$", fields, re.MULTILINE)[0]
        (folder / name).write_text(fields.rstrip("\n") + "\nStatus: install ok installed\n")


def _tidy(root: Path) -> None:
    """Leave out what no service reads, and every trace of where the packages came from."""
    for folder_name in (
        "var/cache/apt",
        "var/lib/apt",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/info",
        "usr/share/lintian",
    ):
        shutil.rmtree(root / folder_name, ignore_errors=True)
    for folder in (root / "usr/lib").glob("*/gconv"):  # encodings of the C library: Python has its own
        shutil.rmtree(folder)
    for file in (root / "usr/share/doc").rglob("*"):
        if file.name != "copyright" and file.is_file() and not file.is_symlink():
            file.unlink()
    (root / "etc/apt/sources.list").write_text("")
    for folder_name in ("tmp", "var/tmp", "home", "root", "usr/local/bin", "usr/local/lib", "etc/ssl/certs"):
        (root / folder_name).mkdir(parents=True, exist_ok=True)
    for folder_name in ("tmp", "var/tmp"):
        (root / folder_name).chmod(0o1777)
    if not (root / "usr/bin/sh").exists():
        (root / "usr/bin/sh").symlink_to("dash")
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    certificates = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(b"".join(file.read_bytes() for file in certificates))


def _copy_python(prefix: Path, root: Path, version: str) -> None:
    """Copy the interpreter and its standard library to /usr/local."""
    target = root / "usr/local"
    shutil.copy2(prefix / "bin" / f"python{version}", target / "bin" / f"python{version}")
    for file in (prefix / "lib").glob(f"libpython{version}.so*"):
        shutil.copy2(file, target / "lib" / file.name, follow_symlinks=False)

    def left_out(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == prefix / "lib" / f"python{version}"
        ignored = {name for name in names if name in LEFT_OUT_ANYWHERE or name.startswith("_test")}
        return ignored | ({n for n in names if n in LEFT_OUT or n.startswith("config-")} if top else set())

    shutil.copytree(sysconfig.get_path("stdlib"), target / "lib" / f"python{version}", symlinks=True, ignore=left_out)
    for file in [*(target / "lib").glob("libpython*.so.*"), *(target / "lib").rglob("*.so")]:
        subprocess.run(["strip", "--strip-unneeded", str(file)], capture_output=True, env=os.environ | {"LC_ALL": "C"})
