"""What holds for every test: nothing skipped unlisted, nothing left behind, no network beyond this machine."""

pytest_plugins = ["allowed_skips", "loopback_only", "nothing_left"]
