"""Report a monitoring verdict: exit codes, a signed webhook, alert rules for Prometheus."""

import hashlib
import hmac
import http.client
import json
import threading
import urllib.error
import urllib.request

import yaml

from mlnb.codec import JsonObject
from mlnb.errors import UsageError
from mlnb.methods.contracts.monitoring_records import Outcome
from mlnb.settings import ProcessSettings

CODES: dict[Outcome, int] = {"keep": 0, "watch": 10, "retrain": 11, "roll back": 12}
TIMEOUT = 10.0  # seconds that a webhook may take
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
        "More than 5 % of the requests are refused: mlnb_rejected_rows_total shows the columns.",
    ),
    (
        "MlnbSlow",
        "histogram_quantile(0.99, sum(rate(mlnb_request_seconds_bucket[5m])) by (le)) > {seconds}",
        "10m",
        "The slowest 1 % of the requests exceed the latency limit.",
    ),
    (
        "MlnbSilent",
        "sum(rate(mlnb_requests_total[30m])) == 0 or absent(mlnb_requests_total)",
        "30m",
        "No request for half an hour, or the service is down.",
    ),
    (
        "MlnbLogDrops",
        'increase(mlnb_log_rows_total{result="dropped"}[15m]) > 0',
        "0m",
        "The prediction log has dropped rows: its queue or its disk is full.",
    ),
    (
        "MlnbModelRefused",
        'increase(mlnb_model_swaps_total{result=~"refused|withdrawn"}[15m]) > 0',
        "0m",
        "A new model was refused, or a canary was withdrawn; the log has the reason.",
    ),
)


def alert_rules(seconds: float = 0.25) -> str:
    """Return alert rules of Prometheus for a service as YAML; `seconds` is the limit of the slowest 1 % of requests."""
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


def notify(url: str, message: JsonObject, timeout: float = TIMEOUT) -> None:
    """Post a verdict as JSON, signed when MLNB_WEBHOOK_SECRET is set.

    Args:
        url: The webhook.
        message: The verdict as a JSON object.
        timeout: Seconds for the whole request, however slowly a receiver responds.

    Raises:
        UsageError: The URL is invalid, or the webhook did not respond with 2xx in time.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"The webhook is {url!r}; expected a URL that starts with http:// or https://.")
    body = json.dumps(message, sort_keys=True, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    secret = ProcessSettings().webhook_secret
    if secret:
        headers[HEADER] = sign(body, secret)
    request = urllib.request.Request(url, body, headers, method="POST")
    results: list[int | OSError] = []
    posting = threading.Thread(target=lambda: results.append(_post(request, timeout)), daemon=True)
    posting.start()
    posting.join(timeout)
    if not results or isinstance(results[0], OSError):
        why = results[0] if results else "there is no response yet"
        raise UsageError(
            f"The webhook did not accept the verdict within {timeout:g} s: {why}. The verdict is in the run."
        )
    if not 200 <= results[0] < 300:
        raise UsageError(f"The webhook responded with {results[0]}, expected 2xx. The verdict is in the run.")


def _post(request: urllib.request.Request, timeout: float) -> int | OSError:
    """Return the status of the response, or the error."""
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except http.client.HTTPException as error:
        return OSError(f"no HTTP response ({error!r})")
    except OSError as error:
        return error
