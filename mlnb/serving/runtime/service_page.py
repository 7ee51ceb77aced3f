"""The page at `/`: what the service is for, its columns and responses, and a form; it loads nothing else."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from mlnb.serving.runtime.http_messages import RECOMMEND_ROUTE

STYLE = """
:root { color-scheme: light dark; --page: #fff; --cue: #0005; }
body { background: var(--page); color: #1f2933; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; padding: 0 1rem; }
main { margin: 0 auto; max-width: 56rem; }
a { color: #0b63a5; }
.wide { overflow-x: auto; background:
  linear-gradient(to right, var(--page) 30%, transparent) left / 40px 100% no-repeat local,
  linear-gradient(to left, var(--page) 30%, transparent) right / 40px 100% no-repeat local,
  linear-gradient(to right, var(--cue), transparent) left / 12px 100% no-repeat scroll,
  linear-gradient(to left, var(--cue), transparent) right / 12px 100% no-repeat scroll; }
.wide td:last-child { min-width: 14rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top; }
textarea { box-sizing: border-box; font: 14px/1.4 ui-monospace, monospace; height: 14rem; width: 100%; }
pre { background: #f3f4f6; overflow: auto; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre:has(output:empty) { display: none; }
label, button { margin-right: 1rem; }
label { white-space: nowrap; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181c; --cue: #fff6; }
  body { color: #e4e7eb; }
  a { color: #6cb2e6; }
  pre { background: #1b2025; }
}
"""
SCRIPT = """
const quote = (text) => "'" + text.replaceAll("'", "'\\\\''") + "'";
for (const form of document.querySelectorAll("form")) {
  const output = form.querySelector("output"), command = form.parentElement.querySelector(".curl");
  const query = () => form.explain?.checked ? "?explain=true" : "";
  const show = () => {
    const key = form.key.value ? ` -H "X-API-Key: $MLNB_API_KEY"` : "";
    command.textContent = "curl -s " + quote(location.origin + form.dataset.route + query())
      + ` -H 'Content-Type: application/json'${key} -d ` + quote(form.rows.value);
  };
  form.addEventListener("input", show);
  show();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const headers = { "Content-Type": "application/json" };
    if (form.key.value) headers["X-API-Key"] = form.key.value;
    output.textContent = "...";
    try {
      const response = await fetch(form.dataset.route + query(), { method: "POST", headers, body: form.rows.value });
      const text = await response.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { }
      output.textContent = `${response.status}, model ${response.headers.get("X-Model-Version")}\\n${shown}`;
    } catch (error) { output.textContent = String(error); }
  });
}
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_page(document: Any, routes: Sequence[str]) -> str:
    """Return the page as HTML text.

    Args:
        document: the OpenAPI document of the service.
        routes: of requests, in the order of their sections.
    """
    parts = [*str(document["info"].get("description", "")).split("\n\n"), "", ""]  # a title and what it predicts
    title = escape(parts[0].removeprefix("# ") or str(document["info"]["title"]))
    sections = "".join(_section(document["paths"][route]["post"], route, len(routes) > 1) for route in routes)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>
<h1>{title}</h1>
<p>{_with_code(parts[1])}</p>
{sections}<p>OpenAPI: <a href="docs.json">docs.json</a></p>
</main><script>{SCRIPT}</script></body></html>
"""


def _section(operation: Any, route: str, titled: bool) -> str:
    """Return what a route takes and returns, with a form; `titled`: below a heading with the route."""
    rows = operation["requestBody"]["content"]["application/json"]["schema"]
    example = escape(json.dumps(rows.get("example", []), ensure_ascii=False, indent=1, default=str))
    columns = "".join(_describe(name, column, rows) for name, column in rows["items"]["properties"].items())
    statuses = "".join(
        f"<tr><td>{escape(str(status))}</td><td>{escape(str(response.get('description', '')))}</td></tr>"
        for status, response in operation["responses"].items()
    )
    of_rows = not route.endswith(RECOMMEND_ROUTE)
    level, heading = ("h3", f"<h2>POST {escape(route)}</h2>\n") if titled else ("h2", "")
    fields, button = ("Columns", "Predict") if of_rows else ("Fields", "Recommend")
    explain = '<label><input name="explain" type="checkbox"> explain</label>' if of_rows else ""
    return f"""<section>
{heading}<p>{escape(str(operation.get("description", "")))}</p>
<{level}>{fields}</{level}>
<div class="wide" tabindex="0"><table><tr><th>Name</th><th>Type</th><th>Required</th><th>Description</th></tr>{columns}
</table></div>
<{level}>Try it</{level}>
<form data-route="{escape(route)}"><textarea name="rows" spellcheck="false" aria-label="rows">{example}</textarea>
<p><label>API key <input name="key" type="password" autocomplete="off"></label>
{explain}<button>{button}</button></p>
<pre><output></output></pre></form>
<{level}>Command line</{level}><pre class="curl"></pre>
<{level}>Responses</{level}><table>{statuses}</table>
</section>
"""


def _with_code(text: str) -> str:
    """Return Markdown text as HTML: names in backticks become code, everything else is escaped."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _describe(name: str, column: Any, rows: Any) -> str:
    required = "yes" if name in rows["items"].get("required", ()) else ""
    types = [str(each.get("format", each.get("type"))) for each in column.get("anyOf", [column])]
    texts = (name, " or ".join(dict.fromkeys(types)), required, str(column.get("description", "")))
    return f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>"
