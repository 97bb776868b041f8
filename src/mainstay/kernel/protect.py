"""Protecting what is stored: the store of a service with encrypted fields, behind what encrypts and opens them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.records import SHOWN
from mainstay.model.blueprint import Blueprint
from mainstay.model.structs import Entity
from mainstay.ports.encryption import FieldCipher, encrypted_fields
from mainstay.ports.observer import Observer
from mainstay.ports.store import Store
from mainstay.ports.unit_of_work import EntityPlan


def encrypting(
    store: Store, plans: Mapping[type[Entity], EntityPlan], cipher: FieldCipher | None, observer: Observer
) -> Store:
    """Return a store in front of this one that encrypts, or this one where no field is encrypted or there is no key."""
    encrypted = encrypted_fields(plans.values(), SHOWN)
    if not encrypted or cipher is None:
        return store
    from mainstay.ports.encrypted_rows import EncryptedStore  # nothing of it is loaded where nothing is encrypted

    return EncryptedStore(store, encrypted, cipher, observer)


def protected(ports: Ports, plans: Mapping[type[Entity], EntityPlan], blueprint: Blueprint) -> Ports:
    """Return ports whose store keeps encrypted fields; where there is no key for them, that is a fault."""
    if ports.cipher is None:
        for entity, plan in plans.items():
            for name in sorted(plan.encrypted):
                message = "it is encrypted, and there is no key"
                blueprint.fault(entity, f"{entity.__name__}.{name}", message, "set encryption.key to a secret")
        return ports
    return msgspec.structs.replace(ports, store=encrypting(ports.store, plans, ports.cipher, ports.observer))
