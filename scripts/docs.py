"""Build the documentation site in _docs; no page of it needs the network.

python scripts/docs.py           execute notebooks that changed since the last build, then build all pages
python scripts/docs.py --fast    execute nothing: pages show the outputs that earlier builds left

Pages are Markdown in _proc/docs: guides, stages and methods from the notebooks, commands from their parsers, modules
from docstrings. mkdocs builds them; a link that leads nowhere fails the build.
"""

import argparse
import configparser
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from docs_api import package_page, packages
from docs_commands import command_page, overview_page
from docs_execution import OutputCache, execute_all, execute_pipeline, read_cells
from docs_notebooks import joined, page, rewrite_links, separated_lists

from mlnb.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
NBS, WORK, SITE = ROOT / "nbs", ROOT / "_proc", ROOT / "_docs"
PAGES, IMAGES, CACHE = WORK / "docs", WORK / "docs" / "assets" / "outputs", WORK / "outputs"
DOCUMENTS = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "LICENSE": "license.md",
    "THIRD_PARTY_NOTICES.md": "third_party_notices.md",
}
PICTURES = (".svg", ".png", ".jpg", ".gif", ".webp")
SUMMARY = re.compile(r"^> (.+?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def site_path(path: str) -> str:
    """Return the page of a file of the repository: the site has every notebook, its images, and DOCUMENTS."""
    if path in DOCUMENTS:
        return DOCUMENTS[path]
    return re.sub(r"^nbs/(.+)\.ipynb$", r"\1.md", path).removeprefix("nbs/")


def link_rewriter(file: str) -> Callable[[str], str]:
    """Return a function that turns the links of a file of the repository into links between pages.

    It copies the images that are linked.
    """

    def rewrite(link: str) -> str:
        path, mark, anchor = link.partition("#")
        if not path or re.match(r"\w+:", link):
            return link
        source = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        target = site_path(source)
        if target.endswith(PICTURES) and (ROOT / source).is_file():
            (PAGES / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, PAGES / target)
        return posixpath.relpath(target, posixpath.dirname(site_path(file)) or ".") + mark + anchor

    return rewrite


def write(path: str, text: str) -> str:
    """Write a page; return its path."""
    target = PAGES / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return path


def with_outputs(cells: list[Any], outputs: list[list[Any]] | dict[str, list[Any]]) -> list[Any]:
    """Return cells with the outputs of an execution: one entry for each code cell, or by the source of the cell."""
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    for at, cell in enumerate(codes):
        if isinstance(outputs, dict):
            cell["outputs"] = outputs.get(joined(cell["source"]), [])
        else:
            cell["outputs"] = outputs[at] if at < len(outputs) else []
    return cells


def write_notebooks(notebooks: list[Path], fast: bool) -> None:
    """Write the page of each notebook."""
    cache = OutputCache(CACHE, ROOT)
    stages = [notebook for notebook in notebooks if notebook.parent.name == "stages"]
    others = [notebook for notebook in notebooks if notebook not in stages]
    by_source: dict[str, list[Any]] = {}
    if fast:
        paths = {notebook: cache.path([notebook]) for notebook in others}
        by_cell = {notebook: json.loads(path.read_bytes()) for notebook, path in paths.items() if path.exists()}
        if (path := cache.path(stages)).exists():
            by_source = json.loads(path.read_bytes())
    else:
        by_source = execute_pipeline(stages, cache)
        by_cell = execute_all(others, cache)
        cache.delete_unused()
    for notebook in notebooks:
        file = notebook.relative_to(ROOT).as_posix()
        prefix = posixpath.relpath("assets/outputs", posixpath.dirname(site_path(file)) or ".") + "/"
        cells = with_outputs(read_cells(notebook), by_source if notebook in stages else by_cell.get(notebook, []))
        write(site_path(file), page(cells, link_rewriter(file), IMAGES, prefix))


def entry(path: str) -> str:
    """Return a line of a list of pages: title and summary of a page."""
    text = (PAGES / path).read_text(encoding="utf-8")
    summary = SUMMARY.search(text)
    about = rewrite_links(" ".join(summary[1].split()), lambda link: link) if summary else ""
    title = TITLE.search(text)
    return f"- [{title[1] if title else path}]({posixpath.basename(path)})" + (f": {about}" if about else "")


def write_methods() -> list[Any]:
    """Write the index of each package of methods; return their navigation."""
    sections: list[Any] = []
    for folder in sorted((PAGES / "methods").iterdir()):
        paths = [f"methods/{folder.name}/{path.name}" for path in sorted(folder.glob("*.md"))]
        title = folder.name.replace("_", " ").capitalize()
        index = write(f"methods/{folder.name}/index.md", f"# {title}\n\n" + "\n".join(map(entry, paths)) + "\n")
        sections.append({title: [index, *paths]})
    titles = [(title, pages[0].removeprefix("methods/")) for section in sections for title, pages in section.items()]
    lines = [f"- [{title}]({index})" for title, index in titles]
    about = "The library that the stages call, by theme. Each notebook documents, tests and exports its functions."
    return [write("methods/index.md", f"# Methods\n\n{about}\n\n" + "\n".join(lines) + "\n"), *sections]


def write_api() -> list[str]:
    """Write the page of each package; return their paths."""
    paths, lines = [], []
    for name, files in packages(ROOT / "mlnb").items():
        text = (ROOT / Path(*name.split(".")) / "__init__.py").read_text(encoding="utf-8")
        summary = text.split('"""')[1] if text.startswith('"""') else ""
        paths.append(write(f"api/{name}.md", package_page(name, files, summary)))
        lines.append(f"- [{name}]({name}.md)" + (f": {summary.split(chr(10))[0]}" if summary else ""))
    about = (
        "Packages with the public functions and classes of their modules. A program that uses mlnb needs only "
        "the names of the package `mlnb`: see the [guide to the Python API](../guides/python_api.md)."
    )
    return [write("api/index.md", f"# Python modules\n\n{about}\n\n" + "\n".join(lines) + "\n"), *paths]


def write_pages(fast: bool) -> list[Any]:
    """Write all pages; return the navigation."""
    notebooks = [path for path in sorted(NBS.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    write_notebooks(notebooks, fast)
    for file, target in DOCUMENTS.items():
        if target != "index.md" and (ROOT / file).exists():
            text = (ROOT / file).read_text(encoding="utf-8")
            text = f"# License\n\n```text\n{text}```\n" if file == "LICENSE" else text
            write(target, separated_lists(rewrite_links(text, link_rewriter(file))))
    shutil.copytree(Path(__file__).parent / "docs_assets", PAGES / "assets", dirs_exist_ok=True)
    write("commands/index.md", overview_page())
    for name in COMMANDS:
        write(f"commands/{name}.md", command_page(name))
    listed = re.findall(r"\]\((guides/\w+\.md)\)", (PAGES / "index.md").read_text(encoding="utf-8"))
    stages = [f"stages/{path.name}" for path in sorted((PAGES / "stages").glob("*.md"))]
    about = "# Stages\n\nEach stage of the pipelines is a notebook, which a project owns and edits."
    return [
        {"Home": "index.md"},
        {"Guides": list(dict.fromkeys(listed))},
        {"Stages": [write("stages/index.md", f"{about}\n\n" + "\n".join(map(entry, stages)) + "\n"), *stages]},
        {"Methods": write_methods()},
        {"Commands": ["commands/index.md", *(f"commands/{name}.md" for name in COMMANDS)]},
        {"Python": write_api()},
        {"Project": [path for path in DOCUMENTS.values() if path != "index.md" and (PAGES / path).exists()]},
    ]


def site_url() -> str:
    """Return the address of the published site, with a slash at its end; empty when settings.ini names none."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    about = settings["DEFAULT"]
    host = about.get("doc_host", "").strip().rstrip("/")
    return f"{host}/{about.get('doc_baseurl', '').strip('/ ')}".rstrip("/") + "/" if host else ""


def main() -> int:
    """Build the site; return 0 when it is complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="execute no notebook")
    parser.add_argument("--out", type=Path, default=SITE, metavar="FOLDER", help="folder of the site (default: _docs)")
    args = parser.parse_args()
    programs = [ROOT / ".venv-docs" / "bin" / "mkdocs", Path(sys.executable).with_name("mkdocs")]
    mkdocs = next((str(path) for path in programs if path.exists()), shutil.which("mkdocs"))
    if mkdocs is None:
        print("docs: no mkdocs found, expected the libraries of the extra `docs`: make docs", file=sys.stderr)
        return 2
    started = time.monotonic()
    os.environ.setdefault("MLNB_KERNELS_IDLE", "10")
    shutil.rmtree(PAGES, ignore_errors=True)
    navigation = write_pages(args.fast)
    written = time.monotonic()
    config = {"INHERIT": "../mkdocs.yml", "docs_dir": "docs", "site_dir": str(args.out.resolve()), "nav": navigation}
    config |= {"hooks": ["../scripts/docs_math.py"], "site_url": site_url()}
    (WORK / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    command = [mkdocs, "build", "--strict", "--config-file", str(WORK / "mkdocs.yml")]  # --quiet would hide warnings
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    print(
        "".join(line for line in done.stderr.splitlines(True) if not line.startswith("INFO")), end="", file=sys.stderr
    )
    if done.returncode:
        return 1
    count = sum(1 for _ in args.out.rglob("*.html"))
    seconds = f"{written - started:.0f} s pages, {time.monotonic() - written:.0f} s site"
    print(f"  {count} pages in {args.out} ({seconds}): open {args.out}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
