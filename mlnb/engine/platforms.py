"""The platform of a result: on another one, the same code may compute other last digits."""

import platform
import re
from functools import lru_cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


@lru_cache(maxsize=1)
def platform_name() -> str:
    """Return operating system, architecture and CPU family, such as linux-x86_64-AuthenticAMD-25."""
    parts = [platform.system(), platform.machine(), *cpu_family(CPU_INFO)]
    return "-".join(re.sub(r"[^A-Za-z0-9_.]", "", part) or "unknown" for part in parts)


def cpu_family(path: Path) -> tuple[str, ...]:
    """Return maker and family of the processor: linear algebra and compiled loops choose instructions by them."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return (platform.processor() or "unknown",)
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    values = {name.strip(): value.strip() for name, _, value in pairs}
    if "vendor_id" in values:
        return values["vendor_id"], values.get("cpu family", "")
    return (values.get("CPU implementer", "unknown"), values.get("CPU part", "unknown"))
