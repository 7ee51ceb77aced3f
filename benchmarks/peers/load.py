"""Load over HTTP: wrk where it is installed, and a client that knows the answer to each of its requests."""

import asyncio
import json
import random
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

CLIENTS = 16
LUA = """
wrk.method = "POST"
wrk.body = [==[%s]==]
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local errors = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format("\\n@ %%f %%f %%f %%d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors))
end
"""
MIXED = """
local bodies = {[0] = [==[%s]==], [1] = [==[%s]==]}
local count = 0
good, refused, other = 0, 0, 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function request()
  count = count + 1
  local body = bodies[count %% 100 == 0 and 1 or 0]
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
end
function response(status)
  if status == 200 then good = good + 1 elseif status == 422 then refused = refused + 1 else other = other + 1 end
end
done = function(summary, latency, requests)
  local thread = threads[1]
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("\\n@ %%d %%d %%d %%f\\n", thread:get("good"), thread:get("refused"),
    thread:get("other") + errors, latency:percentile(99) / 1e3))
end
"""


@dataclass
class Seen:
    """What a client saw."""

    good: int = 0  # answers that were right
    bad: int = 0  # bad requests that were refused with the column named
    wrong: list[str] = field(default_factory=list)  # anything else
    broken: int = 0  # connections that were cut
    milliseconds: list[float] = field(default_factory=list)
    last_error: float = 0.0  # when a connection was cut last
    times: list[float] = field(default_factory=list)  # when answers came

    def percentile(self, share: float) -> float:
        """Return the time within which that share of the requests was answered."""
        ordered = sorted(self.milliseconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def measure(port: int, rows: list[dict[str, Any]], seconds: float, count: int = 1) -> tuple[float, float, float]:
    """Return requests a second, and the median and 99th percentile of milliseconds, for the first `count` rows."""
    body = json.dumps(rows[:count])
    if shutil.which("wrk"):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(LUA % body)
            script.flush()
            url = f"http://127.0.0.1:{port}/predict"
            command = ["wrk", "-t1", "--timeout", "30s", f"-c{CLIENTS}", f"-d{seconds:.0f}s", "-s", script.name, url]
            predicted = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rate, middle, late, errors = predicted.rpartition("@ ")[2].split()
        assert errors == "0", predicted
        return float(rate), float(middle), float(late)
    seen = asyncio.run(ask(port, [(body, 200, None)], seconds))
    assert not seen.wrong, seen.wrong[:3]
    return seen.good / seconds, seen.percentile(0.5), seen.percentile(0.99)


def measure_mixed(port: int, good: str, bad: str, seconds: float) -> tuple[int, int, int, float]:
    """Return what wrk got for 99 good requests and a bad one in turn: answers, refusals, errors, p99 in ms."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(MIXED % (good, bad))
        script.flush()
        url = f"http://127.0.0.1:{port}/predict"
        command = ["wrk", "-t1", "--timeout", "30s", f"-c{CLIENTS}", f"-d{seconds:.0f}s", "-s", script.name, url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answered, refused, errors, late = output.rpartition("@ ")[2].split()
    return int(answered), int(refused), int(errors), float(late)


async def ask(port: int, requests: list[tuple[str, int, str | None]], seconds: float, clients: int = CLIENTS) -> Seen:
    """Return what came back to requests of (body, status, text that the answer must be or hold; None: any)."""
    seen, until = Seen(), time.monotonic() + seconds
    await asyncio.gather(*(_ask(port, requests, until, seen, random.Random(n)) for n in range(clients)))
    return seen


async def _ask(port: int, requests: list[tuple[str, int, str | None]], until: float, seen: Seen, chance: Any) -> None:
    streams = None
    while time.monotonic() < until:
        body, status, expected = chance.choice(requests)
        began = time.perf_counter()
        try:
            streams = streams or await asyncio.open_connection("127.0.0.1", port)
            got, answer = await post(*streams, body)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            seen.broken, seen.last_error, streams = seen.broken + 1, time.monotonic(), None
            await asyncio.sleep(0.05)
            continue
        seen.milliseconds.append(1000 * (time.perf_counter() - began))
        seen.times.append(time.monotonic())
        right = got == status and (expected is None or (answer == expected if status == 200 else expected in answer))
        if not right:
            seen.wrong.append(f"{got} (expected {status}) to {body[:200]}: {answer[:300]}")
        elif status == 200:
            seen.good += 1
        else:
            seen.bad += 1


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: str) -> tuple[int, str]:
    """Return the status and the body of the answer to one request."""
    data = body.encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
    return int(lines[0].split()[1]), (await reader.readexactly(length)).decode()
