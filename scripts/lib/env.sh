# shellcheck shell=sh
# Sourced from the root of the checkout. Offers find_python and bootstrap.

# Print a Python of 3.11 or newer, or say how to get one.
find_python() {
    for candidate in "${MAINSTAY_PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "Mainstay needs Python 3.11 or newer and found none on PATH." >&2
    echo "  Debian 12, Ubuntu 24.04 and newer: apt-get install python3" >&2
    echo "  Elsewhere: install one and name it, MAINSTAY_PYTHON=/path/to/python3" >&2
    return 1
}

# Make .venv what uv.lock says; the arguments name the dependency groups wanted beside the base.
bootstrap() {
    python=$(find_python) || exit 1
    "$python" -I scripts/lib/bootstrap.py "$@" || exit 1
}
