"""Settings: ``mainstay.toml``, the environment, ``.env`` and flags, to one typed value that was checked as a whole."""

from mainstay.app.settings.faults import SettingFault, SettingsRefused
from mainstay.app.settings.listing import Listed, listing
from mainstay.app.settings.loading import examine, load
from mainstay.app.settings.model import Settings
from mainstay.app.settings.rules import DEVELOPMENT_MARK

__all__ = ["DEVELOPMENT_MARK", "Listed", "SettingFault", "Settings", "SettingsRefused", "examine", "listing", "load"]
