"""Who buys. A customer sees and changes the own row; support sees all."""

from uuid import UUID

from mainstay import Email, Entity, authenticated, field, owner, role

from . import store


class Customer(Entity, rows=owner("user_id") | role("support", "manager"), person="user_id"):
    """A person who buys here."""

    user_id: UUID = field(unique=True, immutable=True)
    name: str = field(min_length=1, max_length=100)
    email: Email  # not unique: who is told that an address is taken, is told of another's row
    note: str | None = field(
        max_length=1000, default=None, read=role("support"), write=role("support"), description="For support only."
    )


store.resource(Customer, path="/customers", read=authenticated, create=authenticated, update=authenticated)
