"""What teams test with: the harness, scenario tables and the conformance suite of each port."""
