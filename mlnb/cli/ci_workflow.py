"""The workflow of GitHub Actions that `mlnb new` writes: it comments on pull requests with `mlnb diff`.

Two jobs share the work, so that no code of a pull request runs with a token that may write:
- `run` runs the pipeline on the base and on the head, may read the repository alone, and writes the job summary;
- `comment` checks nothing out and installs nothing: it posts the text that `run` wrote, or updates its last comment.
"""

from mlnb import __version__
from mlnb.cli.diff_formats import MARKER
from mlnb.engine.project_template import ProjectTemplate, installed_template
from mlnb.monitoring.schedules import ACTIONS

WORKFLOW_FILE = ".github/workflows/mlnb.yml"

TEXT = """\
# Runs the pipeline on each pull request, and comments with what changes: cells, stages, metrics, gate, findings.
# The check fails when the gate does. Comments are left out for forks, whose token may only read.
name: mlnb
on:
  pull_request:
  push:
    branches: [main]

permissions:
  contents: read

concurrency:
  group: mlnb-${{ github.ref }}
  cancel-in-progress: true

jobs:
  run:
    runs-on: ubuntu-latest
    timeout-minutes: 120
    outputs:
      comment: ${{ steps.diff.outputs.comment }}
    env:
      BASE_BRANCH: ${{ github.base_ref }}
      HEAD_COMMIT: ${{ github.event.pull_request.head.sha || github.sha }}
    steps:
      - uses: actions/checkout@CHECKOUT
        with:
          ref: ${{ github.event.pull_request.head.sha || github.sha }}
          fetch-depth: 0
          persist-credentials: false
      - uses: actions/setup-python@SETUP_PYTHON
        with:
          python-version: "3.12"
      - name: Install mlnb
        run: python -m pip install 'mlnb==VERSION'
      # Runs and artifacts of earlier commits: unchanged stages are reused. Pull requests read the cache of main.
      - uses: actions/cache/restore@CACHE
        with:
          path: |
            runs
            .mlnb
          key: mlnb-${{ github.sha }}
          restore-keys: mlnb-
      - name: Run the pipeline on the base
        if: github.event_name == 'pull_request'
        run: |
          base="$(git merge-base "origin/$BASE_BRANCH" "$HEAD_COMMIT")"
          echo "BASE_COMMIT=$base" >> "$GITHUB_ENV"
          git checkout --quiet --detach "$base"
          mlnb run || echo "exit code on the base: $?"
          git checkout --quiet --detach "$HEAD_COMMIT"
      - name: Run the pipeline
        id: pipeline
        run: mlnb run
      - name: Compare
        id: diff
        if: always() && github.event_name == 'pull_request' && steps.pipeline.outcome != 'skipped'
        run: |
          code=0
          mlnb diff "$BASE_COMMIT..HEAD" --format markdown --output "$RUNNER_TEMP/diff.md" || code=$?
          cat "$RUNNER_TEMP/diff.md" >> "$GITHUB_STEP_SUMMARY"
          end="$(openssl rand -hex 16)"
          { echo "comment<<$end"; cat "$RUNNER_TEMP/diff.md"; echo "$end"; } >> "$GITHUB_OUTPUT"
          exit "$code"
      - uses: actions/cache/save@CACHE
        if: always() && github.event_name == 'push' && steps.pipeline.outcome != 'skipped'
        with:
          path: |
            runs
            .mlnb
          key: mlnb-${{ github.sha }}

  comment:
    needs: run
    if: always() && needs.run.outputs.comment && github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-latest
    timeout-minutes: 5
    permissions:
      pull-requests: write # for the comment
    env:
      GH_TOKEN: ${{ github.token }}
      COMMENT: ${{ needs.run.outputs.comment }}
      NUMBER: ${{ github.event.pull_request.number }}
    steps:
      - name: Post the comment, or update it
        run: |
          file="$RUNNER_TEMP/diff.md" issues="repos/$GITHUB_REPOSITORY/issues"
          printf '%s\\n' "$COMMENT" > "$file"
          mine='.[] | select(.user.login == "github-actions[bot]" and (.body | startswith("MARKER"))) | .id'
          id="$(gh api --paginate "$issues/$NUMBER/comments" --jq "$mine" | head -n 1)"
          if [ -n "$id" ]; then
            gh api --silent --method PATCH "$issues/comments/$id" -F "body=@$file"
          else
            gh api --silent --method POST "$issues/$NUMBER/comments" -F "body=@$file"
          fi
"""


def project_template(name: str, library: str) -> ProjectTemplate:
    """Return the template of the installed mlnb for a project of that name, with the workflow."""
    return installed_template(name, library, {WORKFLOW_FILE: workflow_text().encode()})


def workflow_text() -> str:
    """Return the contents of `WORKFLOW_FILE` for the installed mlnb."""
    values = {
        "actions/checkout@CHECKOUT": f"actions/checkout@{ACTIONS['actions/checkout']}",
        "actions/setup-python@SETUP_PYTHON": f"actions/setup-python@{ACTIONS['actions/setup-python']}",
        "@CACHE": f"@{ACTIONS['actions/cache']}",
        "VERSION": __version__,
        "MARKER": MARKER,
    }
    text = TEXT
    for name, value in values.items():
        text = text.replace(name, value)
    return text
