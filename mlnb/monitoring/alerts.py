"""How a verdict reaches those who must know: exit codes, a signed webhook, alert rules for Prometheus."""

import hashlib
import hmac
import http.client
import json
import threading
import urllib.error
import urllib.request
from typing import Any

import yaml

from mlnb.errors import UsageError
from mlnb.settings import ProcessSettings

CODES = {"keep": 0, "watch": 10, "retrain": 11, "roll back": 12}
PATIENCE = 10.0  # seconds that a webhook may take
HEADER = "X-Mlnb-Signature"


RULES = (
    (
        "MlnbErrors",
        'sum(rate(mlnb_requests_total{status=~"5.."}[5m])) / sum(rate(mlnb_requests_total[5m])) > 0.01',
        "5m",
        "More than 1 % of the requests fail.",
    ),
    (
        "MlnbRefusals",
        'sum(rate(mlnb_requests_total{status=~"4.."}[15m])) / sum(rate(mlnb_requests_total[15m])) > 0.05',
        "15m",
        "More than 5 % of the requests are refused: mlnb_rejected_rows_total says which column.",
    ),
    (
        "MlnbSlow",
        "histogram_quantile(0.99, sum(rate(mlnb_request_seconds_bucket[5m])) by (le)) > {seconds}",
        "10m",
        "One request in a hundred takes longer than it may.",
    ),
    (
        "MlnbSilent",
        "sum(rate(mlnb_requests_total[30m])) == 0 or absent(mlnb_requests_total)",
        "30m",
        "Nobody has asked for half an hour, or the service is not there.",
    ),
    (
        "MlnbLogDrops",
        'increase(mlnb_log_rows_total{result="dropped"}[15m]) > 0',
        "0m",
        "The prediction log has dropped rows, for want of room in its queue or on its disk.",
    ),
    (
        "MlnbModelRefused",
        'increase(mlnb_model_swaps_total{result=~"refused|withdrawn"}[15m]) > 0',
        "0m",
        "A model that was to take over was refused, or a canary was withdrawn; the log says why.",
    ),
)


def alert_rules(seconds: float = 0.25) -> str:
    """Return Prometheus' alert rules for a service, as YAML; `seconds` is what the slowest 1 % may take."""
    rules = [
        {
            "alert": name,
            "expr": expression.replace("{seconds}", f"{seconds:g}"),
            "for": lasting,
            "labels": {"severity": "warning"},
            "annotations": {"summary": summary},
        }
        for name, expression, lasting, summary in RULES
    ]
    return str(yaml.safe_dump({"groups": [{"name": "mlnb", "rules": rules}]}, sort_keys=False))


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a body: sha256= and its HMAC-SHA256 in hexadecimal digits."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def notify(url: str, value: dict[str, Any], patience: float = PATIENCE) -> None:
    """Post a verdict as JSON, signed when MLNB_WEBHOOK_SECRET is set. Raises `UsageError` when it is not taken in time.

    `patience` bounds the whole of it, in seconds, however slowly a receiver goes on talking.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"The webhook is {url!r}; expected a URL that starts with http:// or https://.")
    body = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    secret = ProcessSettings().webhook_secret
    if secret:
        headers[HEADER] = sign(body, secret)
    request = urllib.request.Request(url, body, headers, method="POST")
    predicted: list[int | OSError] = []
    posting = threading.Thread(target=lambda: predicted.append(_post(request, patience)), daemon=True)
    posting.start()
    posting.join(patience)
    if not predicted or isinstance(predicted[0], OSError):
        why = predicted[0] if predicted else "it has not answered yet"
        raise UsageError(
            f"The webhook did not take the verdict within {patience:g} s: {why}. The verdict itself is in the run."
        )
    if not 200 <= predicted[0] < 300:
        raise UsageError(f"The webhook answered {predicted[0]}, expected 2xx. The verdict itself is in the run.")


def _post(request: urllib.request.Request, patience: float) -> int | OSError:
    """The status of the answer, or what went wrong."""
    try:
        with urllib.request.urlopen(request, timeout=patience) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except http.client.HTTPException as error:
        return OSError(f"no answer in HTTP ({error!r})")
    except OSError as error:
        return error
