"""How a verdict reaches those who must know: exit codes, a signed webhook, alert rules for Prometheus."""

import hashlib
import hmac
import json
import os
import urllib.error
import urllib.request
from typing import Any

from mlnb.errors import UsageError

CODES = {"keep": 0, "watch": 10, "retrain": 11, "roll back": 12}
PATIENCE = 10.0  # seconds that a webhook may take
HEADER = "X-Mlnb-Signature"


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a body: sha256= and its HMAC-SHA256 in hexadecimal digits."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def notify(url: str, value: dict[str, Any], patience: float = PATIENCE) -> None:
    """Post a verdict as JSON, signed when MLNB_WEBHOOK_SECRET is set. Raises `UsageError` when it is not taken."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"The webhook is {url!r}; expected a URL that starts with http:// or https://.")
    body = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    secret = os.environ.get("MLNB_WEBHOOK_SECRET", "")
    if secret:
        headers[HEADER] = sign(body, secret)
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=patience) as response:
            status = response.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError as error:
        raise UsageError(
            f"The webhook did not take the verdict within {patience:g} s: {error}. The verdict itself is in the run."
        ) from error
    if not 200 <= status < 300:
        raise UsageError(f"The webhook answered {status}, expected 2xx. The verdict itself is in the run.")
