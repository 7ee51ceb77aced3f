"""Write README.md from nbs/index.ipynb, or check that the two are in step.

python scripts/readme.py            write README.md
python scripts/readme.py --check    exit with 1 when README.md differs from the notebook
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK, README = ROOT / "nbs" / "index.ipynb", ROOT / "README.md"
HIDDEN = re.compile(r"^#\|\s*(hide|default_exp|export|stage)\b", re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:|#|/)(?:\./)?([^)]+)\)")


def text_of(cell: dict[str, object]) -> str:
    """Return what one cell contributes: markdown as it is, code in a fence, hidden cells nothing."""
    source = cell["source"]
    text = ("".join(source) if isinstance(source, list) else str(source)).strip()
    if cell["cell_type"] == "markdown":
        return LINK.sub(lambda link: f"]({rebased(link.group(1))})", text)
    if cell["cell_type"] != "code" or not text or HIDDEN.search(text):
        return ""
    return f"```python\n{text}\n```"


def rebased(link: str) -> str:
    """Return a link that is relative to nbs/ as one that is relative to the repository."""
    return link.removeprefix("../") if link.startswith("../") else f"nbs/{link}"


def readme() -> str:
    """Return the text of README.md that the notebook stands for."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    texts = [text for text in map(text_of, cells) if text]
    return "<!-- Made from nbs/index.ipynb by `make readme`: edit that. -->\n\n" + "\n\n".join(texts) + "\n"


def main() -> int:
    """Write or check README.md; return 0 when it is right."""
    if "--check" not in sys.argv[1:]:
        README.write_text(readme(), encoding="utf-8")
    elif not README.exists() or README.read_text(encoding="utf-8") != readme():
        print(
            "README.md differs from nbs/index.ipynb: edit the notebook, then `make readme`",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
