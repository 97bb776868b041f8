"""Telling callgrind from inside the counted program when to count: valgrind's client requests, without a compiler.

A client request is a sequence of instructions that does nothing on the processor and that valgrind knows (its
``valgrind.h``, part "amd64-linux"). The few bytes of it are put into memory that may be executed and called there, so
that neither a compiler nor a package is needed where the gate runs.
"""

from __future__ import annotations

import ctypes
import mmap
import platform

MACHINES = ("x86_64", "amd64")

_TOOL = (ord("C") & 0xFF) << 24 | (ord("T") & 0xFF) << 16
_ZERO, _DUMP_AT, _START, _STOP = _TOOL + 1, _TOOL + 3, _TOOL + 4, _TOOL + 5
_CODE = bytes.fromhex(
    "4889f8"  # mov rax, rdi: the address of the six numbers
    "31d2"  # xor edx, edx: the answer where no valgrind is there
    "48c1c703 48c1c70d 48c1c73d 48c1c733"  # rol rdi by 3, 13, 61, 51: no change in sum; the mark
    "4887db"  # xchg rbx, rbx: a client request
    "4889d0"  # mov rax, rdx
    "c3"  # ret
)


class Callgrind:
    """The counter around this process. Does nothing at all where the process does not run under valgrind.

    Raises ``RuntimeError`` on a machine whose instructions it does not know.
    """

    def __init__(self) -> None:
        if platform.machine() not in MACHINES:
            raise RuntimeError(f"instructions are counted on {MACHINES[0]} only, this is {platform.machine()}")
        self._memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._memory.write(_CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._call = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)(address)

    def start(self) -> None:
        """Count from here on."""
        self._request(_START)

    def stop(self) -> None:
        """Count no more: the program runs several times as fast."""
        self._request(_STOP)

    def zero(self) -> None:
        """Forget what was counted."""
        self._request(_ZERO)

    def dump(self, name: str) -> None:
        """Write what was counted since the last time into a file of its own that bears the name, and begin anew."""
        text = ctypes.create_string_buffer(name.encode())
        self._request(_DUMP_AT, ctypes.addressof(text))

    def _request(self, *words: int) -> None:
        numbers = (ctypes.c_uint64 * 6)(*words)
        self._call(ctypes.addressof(numbers))
