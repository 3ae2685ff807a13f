"""How this process keeps memory that it has freed."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
LARGEST = 2**31 - 1  # bytes; mallopt takes an int


def keep_freed_memory() -> bool:
    """Let the GNU C library reuse what training frees instead of handing it back to the kernel after each step.

    A step frees its activations and asks for them again in the next. By default glibc unmaps pieces of 32 MiB and more, and
    trims the end of its heap; each page then comes back as a page fault, zeroed. From now on this process keeps its high-water
    mark, which it needs again within milliseconds. Memory of a GPU has an allocator of its own (torch's) and is not touched.

    Returns:
        whether the C library took it; False on systems with another one, which stay as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, LARGEST)) and bool(mallopt(M_MMAP_THRESHOLD, LARGEST))
