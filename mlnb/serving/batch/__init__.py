"""Batch scoring: files of any size, streamed through a run's model on all cores; a job is resumable."""

import os
import platform
import sys

# Arrow chooses its allocator while it is imported: jemalloc retains pages that mimalloc returns to the system, which
# takes 5 % of the processor time of a job. Not all builds of pyarrow have it.
ARROW_MEMORY = (
    {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"} if (sys.platform, platform.machine()) == ("linux", "x86_64") else {}
)
for _name, _value in ARROW_MEMORY.items():
    os.environ.setdefault(_name, _value)
