"""The page at `/`: what the service is for, its columns and responses, and a form; it loads nothing else."""

import base64
import hashlib
import json
import re
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { background: #fff; color: #1f2933; font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; }
main { margin: 0 auto; max-width: 56rem; }
a { color: #0b63a5; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top; }
textarea { box-sizing: border-box; font: 14px/1.4 ui-monospace, monospace; height: 14rem; width: 100%; }
pre { background: #f3f4f6; overflow: auto; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre:has(output:empty) { display: none; }
label, button { margin-right: 1rem; }
label { white-space: nowrap; }
@media (prefers-color-scheme: dark) {
  body { background: #14181c; color: #e4e7eb; }
  a { color: #6cb2e6; }
  pre { background: #1b2025; }
}
"""
SCRIPT = """
const form = document.querySelector("form"), output = document.querySelector("output");
const quote = (text) => "'" + text.replaceAll("'", "'\\\\''") + "'";
const query = () => form.explain.checked ? "?explain=true" : "";
const show = () => {
  const key = form.key.value ? ` -H "X-API-Key: $MLNB_API_KEY"` : "";
  document.querySelector("#curl").textContent = "curl -s " + quote(location.origin + form.dataset.route + query())
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
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_page(document: Any, route: str) -> str:
    """Return the page as HTML text.

    Args:
        document: the OpenAPI document of the service.
        route: of the predictions.
    """
    operation = document["paths"][route]["post"]
    rows = operation["requestBody"]["content"]["application/json"]["schema"]
    parts = [*str(document["info"].get("description", "")).split("\n\n"), "", ""]  # a title and what it predicts
    title = escape(parts[0].removeprefix("# ") or str(document["info"]["title"]))
    example = escape(json.dumps(rows.get("example", []), ensure_ascii=False, indent=1, default=str))
    columns = "".join(_describe(name, column, rows) for name, column in rows["items"]["properties"].items())
    statuses = "".join(
        f"<tr><td>{escape(str(status))}</td><td>{escape(str(response.get('description', '')))}</td></tr>"
        for status, response in operation["responses"].items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>
<h1>{title}</h1>
<p>{_with_code(parts[1])}</p>
<p>{escape(str(operation.get("description", "")))}</p>
<h2>Columns</h2>
<div class="wide" tabindex="0"><table><tr><th>Name</th><th>Type</th><th>Required</th><th>Description</th></tr>{columns}
</table></div>
<h2>Try it</h2>
<form data-route="{escape(route)}"><textarea name="rows" spellcheck="false" aria-label="rows">{example}</textarea>
<p><label>API key <input name="key" type="password" autocomplete="off"></label>
<label><input name="explain" type="checkbox"> explain</label><button>Predict</button></p>
<pre><output></output></pre></form>
<h2>Command line</h2><pre id="curl"></pre>
<h2>Responses</h2><table>{statuses}</table>
<p>OpenAPI: <a href="docs.json">docs.json</a></p>
</main><script>{SCRIPT}</script></body></html>
"""


def _with_code(text: str) -> str:
    """Return Markdown text as HTML: names in backticks become code, everything else is escaped."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _describe(name: str, column: Any, rows: Any) -> str:
    required = "yes" if name in rows["items"].get("required", ()) else ""
    types = [str(each.get("format", each.get("type"))) for each in column.get("anyOf", [column])]
    texts = (name, " or ".join(dict.fromkeys(types)), required, str(column.get("description", "")))
    return f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>"
