"""The conformance suites of the ports: what every adapter must do, as tests to inherit.

An adapter of a store is tested by subclasses that say how one is made::

    class TestRepository(RepositoryConformance):
        def make_store(self, folder: Path) -> Store:
            return MyStore(folder / "test.db")

The suites need pytest, pytest-asyncio and hypothesis; nothing that a running service imports comes here.
"""
