"""A MongoDB server for the tests: one member of a replica set, since only that has transactions.

mongo_server.py run PORT FOLDER    become the server
mongo_server.py ready PORT         exit with 0 once it takes writes; the first call forms the replica set

The program is the mongod of PATH (or of MAINSTAY_MONGOD), else the one that a locked development package carries.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPLICA_SET = "mainstay"


def program() -> str:
    """Return the path of a mongod. Raises ``FileNotFoundError`` where there is none."""
    named = os.environ.get("MAINSTAY_MONGOD") or shutil.which("mongod")
    if named:
        return named
    spec = importlib.util.find_spec("fiftyone")  # found, not imported: only its file is wanted
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        carried = Path(folder) / "db" / "bin" / "mongod"
        if carried.is_file():
            carried.chmod(0o755)
            return str(carried)
    raise FileNotFoundError("there is no mongod: install MongoDB, or name one in MAINSTAY_MONGOD")


def run(port: str, folder: str) -> None:
    """Become the server."""
    path = program()
    options = {
        "--replSet": REPLICA_SET,
        "--bind_ip": "127.0.0.1",
        "--port": port,
        "--dbpath": folder,
        "--oplogSize": "64",
        "--wiredTigerCacheSizeGB": "0.25",
    }
    parameters = ("diagnosticDataCollectionEnabled=false", "enableTestCommands=1")  # tests make commands fail
    words = [word for pair in options.items() for word in pair]
    words += [word for one in parameters for word in ("--setParameter", one)]
    os.execv(path, [path, "--quiet", "--nounixsocket", *words])


def ready(port: str) -> bool:
    """Say whether the server takes writes; form the replica set where it has none."""
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure, PyMongoError

    client: MongoClient[dict[str, Any]]
    with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true", serverSelectionTimeoutMS=2000) as client:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return True
            member = {"_id": 0, "host": f"127.0.0.1:{port}"}
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
        except OperationFailure as failure:
            if failure.code != 23:  # it is initialised already
                raise
        except PyMongoError:
            return False
    return False


def main(words: Sequence[str]) -> int:
    """Do what the words say."""
    if len(words) == 3 and words[0] == "run":
        run(words[1], words[2])
    if len(words) == 2 and words[0] == "ready":
        return 0 if ready(words[1]) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
