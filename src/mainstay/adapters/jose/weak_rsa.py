"""RSA moduli whose private key can be found: the ROCA fault (CVE-2017-15361).

A broken library of smart cards and TPMs made primes of the form k*M + (65537**a mod M) with M the product of the first
primes. Its moduli are recognised without factoring: modulo each of those primes they are a power of 65537 (Nemec,
Sys, Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", 2017, section 3). A sound modulus passes the test by
chance about once in 2**27.
"""

from __future__ import annotations

_GENERATOR = 65537
_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)
_MORE_PRIMES = (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167)


def has_roca_form(modulus: int) -> bool:
    """Say whether ``modulus`` has the fingerprint of a key made by the broken library."""
    return all(modulus % prime in _powers(prime) for prime in _PRIMES + _MORE_PRIMES)


def _powers(prime: int) -> set[int]:
    powers = {1}
    power = _GENERATOR % prime
    while power not in powers:
        powers.add(power)
        power = power * _GENERATOR % prime
    return powers
