"""What holds for every test: nothing skipped unlisted, nothing left behind, no network beyond this machine."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["allowed_skips", "loopback_only", "nothing_left"]

# A machine that is busy with something else must not make a property look false.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
