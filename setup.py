"""Packaging: reads settings.ini and adds the built-in project to the wheel."""

import configparser
import re
import runpy
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "settings.ini", encoding="utf-8")
ABOUT = SETTINGS["DEFAULT"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETS = [key.removesuffix("_requirements") for key in ABOUT if key.endswith("_requirements")]


def requirements(name: str) -> list[str]:
    """Return the requirements of one set in settings.ini, such as `serving`."""
    return ABOUT[f"{name}_requirements"].split()


COMMIT = Path("mlnb", "build_commit.txt")  # read by mlnb/build_revision.py


def write_commit(folder: Path) -> None:
    """Write the commit of this checkout below a folder; a source distribution has the file and no git."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    if (ROOT / COMMIT).is_file():
        commit = (ROOT / COMMIT).read_text(encoding="ascii")
    elif (ROOT / ".git").exists() and shutil.which("git"):
        commit = subprocess.run(git, capture_output=True, text=True).stdout
    else:
        commit = ""
    if commit.strip():
        (folder / COMMIT).write_text(commit, encoding="ascii")


class SourceWithCommit(sdist):
    """Add the commit to the source distribution."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, then write the commit next to them."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


class BuildWithProject(build_py):
    """Copy the built-in project (stage notebooks, settings, services) to `mlnb/builtin` in the wheel."""

    def builtin(self) -> dict[str, str]:
        """Return target path -> source path of the files of the built-in project."""
        sources = [Path("settings.ini"), *sorted(Path("nbs/stages").glob("*.ipynb"))]
        sources += sorted(
            path for path in Path("bentos").rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )
        return {str(Path(self.build_lib, "mlnb", "builtin", path)): str(path) for path in sources}

    def run(self) -> None:
        """Build, then add the project; an editable install uses the checkout instead."""
        super().run()
        if self.editable_mode:
            return
        shutil.rmtree(Path(self.build_lib, "mlnb", "builtin"), ignore_errors=True)
        for target, source in self.builtin().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)
        self.resolve_links()
        write_commit(Path(self.build_lib))

    def resolve_links(self) -> None:
        """Let links of the stage notebooks lead to the documentation site, or turn them into text."""
        links = runpy.run_path(str(ROOT / "mlnb" / "engine" / "documentation_links.py"))
        address = links["documentation_address"]((ROOT / "settings.ini").read_text(encoding="utf-8"))
        for path in Path(self.build_lib, "mlnb", "builtin", "nbs", "stages").glob("*.ipynb"):
            text = links["resolve_links"](path.read_text(encoding="utf-8"), address)
            path.write_text(text, encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return all built files, including those of the project."""
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else list(self.builtin()))


class InstallJupyterFiles(Distribution().get_command_class("install_data")):
    """Install the JupyterLab extension and the configuration of its server, which `mlnb.lab.labextension` makes."""

    def run(self) -> None:
        """Write the files below the environment's folder."""
        extension = runpy.run_path(str(ROOT / "mlnb" / "lab" / "labextension.py"))
        for name, data in extension["data_files"](ABOUT["version"]).items():
            target = Path(self.install_dir, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            self.outfiles.append(str(target))


setup(
    name=ABOUT["lib_name"],
    version=ABOUT["version"],
    description=ABOUT["description"],
    long_description=re.sub(r"\]\((?!https?:|#)[^)]*\)", "]", re.sub(r"!\[[^]]*\]\([^)]*\)\n*", "", README)),
    long_description_content_type="text/markdown",
    author=ABOUT["author"],
    author_email=ABOUT["author_email"],
    license="Apache-2.0",
    license_files=["LICENSE", "THIRD_PARTY_NOTICES.md"],
    url=ABOUT["git_url"],
    keywords=ABOUT["keywords"].split(),
    python_requires=f">={ABOUT['min_python']}",
    packages=find_packages(include=["mlnb", "mlnb.*"]),
    cmdclass={"build_py": BuildWithProject, "install_data": InstallJupyterFiles, "sdist": SourceWithCommit},
    data_files=[("", [])],  # makes the wheel run InstallJupyterFiles
    package_data={
        "mlnb": ["py.typed", "__init__.pyi"],
        "mlnb.lab": ["browser/*"],
        "": ["*.html", "*.css", "*.js", "*.LICENSE.txt", "library_hashes.txt"],
    },
    install_requires=[*requirements("serving"), *requirements("modelling"), *requirements("notebook")],
    extras_require={name: requirements(name) for name in SETS if name not in ("modelling", "notebook")},
    entry_points={
        "console_scripts": ["mlnb=mlnb.cli.main:main"],
        "papermill.engine": ["mlnb=mlnb.kernels.driver.papermill_entry:engine"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Natural Language :: English",
        "Programming Language :: Python :: 3",
        *[f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)],
    ],
)
