"""Looking at a service without running it: bound to memory, so that no setting and no database is needed."""

from __future__ import annotations

from mainstay.app.identity import make_identity
from mainstay.app.identity_accounts import with_accounts
from mainstay.app.mounting import note_mounts
from mainstay.app.reserved import note_reserved
from mainstay.app.settings import DEVELOPMENT_MARK, Settings
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.model.service import Service
from mainstay.model.values import Secret
from mainstay.ports.observer import Observation, Observer


class _Nobody(Observer):
    """Nobody listens: nothing is run."""

    def observe(self, observation: Observation) -> None:
        """Take it, and do nothing."""


class _AnySecret(dict[str, Secret[str]]):
    """A secret for every name: whether the real one is set is for the settings to say."""

    def __missing__(self, name: str) -> Secret[str]:
        return Secret(DEVELOPMENT_MARK + name)

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: object = None) -> Secret[str]:  # noqa: ARG002 - it has every name
        """Return a secret."""
        return self[name]


def inspect(service: Service) -> Bound:
    """Return the service bound to memory. All start-up faults are in its ``faults``."""
    from mainstay.adapters.crypto.field_cipher import AesFieldCipher
    from mainstay.adapters.crypto.sealer import AeadSealer
    from mainstay.adapters.local.clock import SystemClock
    from mainstay.adapters.local.entropy import SystemEntropy
    from mainstay.adapters.local.ids import SystemIds
    from mainstay.adapters.memory.blobs import MemoryBlobs
    from mainstay.adapters.memory.http import MemoryHttp
    from mainstay.adapters.memory.limiter import MemoryLimiter
    from mainstay.adapters.memory.store import MemoryStore
    from mainstay.app.assembly import dependencies

    clock = SystemClock()
    ports = Ports(
        store=MemoryStore(),
        limiter=MemoryLimiter(clock),
        clock=clock,
        ids=SystemIds(),
        entropy=SystemEntropy(),
        sealer=AeadSealer([DEVELOPMENT_MARK * 2]),
        observer=_Nobody(),
        cipher=AesFieldCipher([DEVELOPMENT_MARK * 2]),
    )
    settings = Settings(profile="test", secrets=_AnySecret())
    known = dependencies(clock, MemoryBlobs(clock), MemoryHttp())
    identity = make_identity(service, settings, known, clock=clock, observer=ports.observer, others=None)
    service = with_accounts(service, settings, clock)
    bound = bind(service, ports, known={**identity.known, **known}, secrets=settings.secrets)
    note_reserved(bound)
    note_mounts(bound)
    return bound
