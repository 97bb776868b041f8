"""Locks between the processes of a host that outlive their holder.

A mutex of POSIX threads that is process-shared and robust (IEEE 1003.1, pthread_mutexattr_setrobust) lies in shared
memory. When a process dies with one, the kernel says so to the next that asks. Taken without a rival it costs a fifth
of a byte-range lock of fcntl, because no system call is made.
"""

from __future__ import annotations

import ctypes
import errno
import time

BYTES = 64  # room for a mutex: glibc and musl take 40 to 48
_PROCESS_SHARED = 1
_ROBUST = 1
_PATIENCE_NS = 1_000_000_000  # longer than a busy or throttled host keeps a running process from its turn


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class RobustLocks:
    """The mutexes at given addresses of shared memory.

    ``acquire`` waits at most a second: a holder that was stopped, not killed, must not stop the others. What such a
    lock guards is then used without it.

    Raises ``OSError`` on a system without robust mutexes.
    """

    def __init__(self) -> None:
        # The quick calls keep the interpreter's lock. The one that may wait lets it go: a thread may be the holder.
        quick, slow = ctypes.PyDLL(None), ctypes.CDLL(None)
        try:
            self._attributes = [quick.pthread_mutexattr_init, quick.pthread_mutexattr_setpshared]
            self._set_robust = quick.pthread_mutexattr_setrobust
            self._init = quick.pthread_mutex_init
            self._consistent = quick.pthread_mutex_consistent
            self._try = quick.pthread_mutex_trylock
            self.release = quick.pthread_mutex_unlock  # give the mutex at an address back
            self._wait_until = slow.pthread_mutex_timedlock
        except AttributeError:
            raise OSError(errno.ENOSYS, "this system has no robust mutexes shared between processes") from None
        for function in (self._consistent, self._try, self.release):
            function.argtypes = [ctypes.c_void_p]
        self._init.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._wait_until.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._stuck: set[int] = set()

    def initialise(self, addresses: range) -> None:
        """Make a mutex at each address. No other process may know the memory yet."""
        attributes = ctypes.create_string_buffer(BYTES)
        init, set_shared = self._attributes
        codes = [init(attributes), set_shared(attributes, _PROCESS_SHARED), self._set_robust(attributes, _ROBUST)]
        codes += [self._init(address, attributes) for address in addresses]
        if any(codes):
            raise OSError(max(codes), "cannot make a robust mutex")

    def acquire(self, address: int) -> bool:
        """Take the mutex; say whether it was taken."""
        code = self._try(address)
        if code == 0:
            return True
        if code == errno.EBUSY and address not in self._stuck:
            code = self._wait(address)
        if code == errno.EOWNERDEAD:
            # What the dead process left is valid: each word that it may have written is a state by itself.
            code = self._consistent(address)
        if code == 0:
            self._stuck.discard(address)
            return True
        self._stuck.add(address)  # not waited for again until it was free once
        return False

    def _wait(self, address: int) -> int:
        # The deadline is of the real-time clock: POSIX gives this call no other.
        seconds, nanoseconds = divmod(time.clock_gettime_ns(time.CLOCK_REALTIME) + _PATIENCE_NS, 1_000_000_000)
        return int(self._wait_until(address, ctypes.byref(_Timespec(seconds, nanoseconds))))
