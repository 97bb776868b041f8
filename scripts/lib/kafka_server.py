"""What starts the Kafka server of the tests: its published jars, and files of arguments for Java.

kafka_server.py CACHE FOLDER    fetch the jars into the cache where they are missing; write FOLDER/java, FOLDER/format

Maven finds the jars that the server runs with, in whatever registry its settings name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

VERSION = "4.1.0"
LOGGING = "1.7.36"
CLUSTER = "bWFpbnN0YXktdGVzdHMtMQ"  # an id of 16 bytes, as the format asks for

PROJECT = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>mainstay.tests</groupId>
  <artifactId>kafka-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>{LOGGING}</version>
    </dependency>
  </dependencies>
</project>
"""

JAVA = """-Xms256m
-Xmx256m
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-Dorg.slf4j.simpleLogger.defaultLogLevel=warn
-cp
"{jars}/*"
{words}
"""


def jars(cache: Path) -> Path:
    """Return the folder of the jars, fetched where it is not there. Raises ``subprocess.CalledProcessError``."""
    folder = cache / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=cache) as draft:
        (Path(draft) / "pom.xml").write_text(PROJECT, encoding="utf-8")
        fetch = ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        subprocess.run([*fetch, "-DoutputDirectory=jars"], cwd=draft, check=True)
        try:
            os.rename(f"{draft}/jars", folder)
        except OSError:
            if not folder.is_dir():  # another call was faster
                raise
    return folder


def main(words: Sequence[str]) -> int:
    """Do what the words say."""
    if len(words) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found, data = jars(Path(words[0])), Path(words[1])
    properties = f"{data}/server.properties"
    calls = {
        "java": f"kafka.Kafka {properties}",
        "format": f"kafka.tools.StorageTool format --cluster-id {CLUSTER} --config {properties}",
    }
    for name, call in calls.items():
        lines = call.replace(" ", "\n")
        (data / name).write_text(JAVA.format(jars=found, words=lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
