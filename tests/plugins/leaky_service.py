"""A service made to be attacked: each of its operations has one hole that a careless author may leave."""

from __future__ import annotations

from uuid import UUID

from mainstay import (
    Dto,
    Entity,
    Find,
    Module,
    NotFound,
    Page,
    Principal,
    Repository,
    Service,
    authenticated,
    field,
    owner,
    role,
)


class Diary(Entity, rows=owner("writer_id")):
    """What one person writes, and nobody else reads."""

    writer_id: UUID = field(immutable=True)
    title: str = field(min_length=8, max_length=80)
    mood: str = field(default="", max_length=40, read=role("doctor"))


class Letter(Entity, tenant="tenant_id"):
    """A letter of a house: its number is unique there."""

    number: str = field(unique=True, pattern=r"[a-z0-9]{8,20}")
    text: str = field(max_length=80, default="")


class Shown(Dto):
    """A title by its id."""

    id: UUID
    title: str


class Moved(Dto):
    """Whose diary it is from now on."""

    diary_id: UUID
    mood: str = ""


def sound_service() -> Service:
    """Return the service without a hole."""
    module = Module("sound")
    module.resource(
        Diary, path="/diaries", read=authenticated, create=authenticated, update=authenticated, delete=authenticated
    )
    module.resource(Letter, path="/letters", read=authenticated, create=authenticated, update=authenticated)
    return Service("sound", modules=[module])


def leaky_service(hole: str) -> Service:
    """Return the service with one hole, named "read", "list", "count", "page", "change", "delete", "tell" or "show"."""
    module = Module("leaky")
    module.resource(Diary, path="/diaries", read=authenticated, create=authenticated)
    _HOLES[hole](module)
    return Service("leaky", modules=[module])


def _unguarded(rows: Repository[Diary]) -> Repository[Diary]:
    """Return the repository as the service itself has it."""
    rows._unit.go_on_for(Principal.system)
    return rows


def _read(module: Module) -> None:
    @module.query("GET /titles/{diary_id}", allow=authenticated)
    async def get_title(diary_id: UUID, rows: Repository[Diary]) -> Shown:
        row = await _unguarded(rows).get(diary_id)
        return Shown(id=row.id, title=row.title)


def _list(module: Module) -> None:
    @module.query("GET /all", allow=authenticated)
    async def list_all(find: Find[Diary], rows: Repository[Diary]) -> Page[Diary]:
        return await _unguarded(rows).page(find)


def _count(module: Module) -> None:
    @module.query("GET /counted", allow=authenticated)
    async def list_counted(find: Find[Diary], rows: Repository[Diary]) -> Page[Diary]:
        page = await rows.page(find)
        every = await _unguarded(rows).count()
        return Page(items=page.items, next=page.next, count=every)


def _page(module: Module) -> None:
    @module.query("GET /paged", allow=authenticated)
    async def list_paged(find: Find[Diary], rows: Repository[Diary]) -> Page[Diary]:
        page = await rows.page(find)
        return Page(items=page.items, next="there-is-more")


def _change(module: Module) -> None:
    @module.command("POST /moods", status=204, allow=authenticated)
    async def set_mood(wanted: Moved, rows: Repository[Diary]) -> None:
        found = await _unguarded(rows).one(id=wanted.diary_id)
        await rows.update(found, mood="changed")


def _delete(module: Module) -> None:
    @module.command("DELETE /torn/{diary_id}", status=204, allow=authenticated)
    async def tear(diary_id: UUID, rows: Repository[Diary]) -> None:
        every = _unguarded(rows)
        await every.delete(await every.get(diary_id))


def _tell(module: Module) -> None:
    @module.query("GET /exists/{diary_id}", allow=authenticated)
    async def exists(diary_id: UUID, who: Principal, rows: Repository[Diary]) -> Shown:
        found = await _unguarded(rows).get(diary_id)
        if found.writer_id != who.id:
            raise NotFound("it is somebody else's")
        return Shown(id=found.id, title=found.title)


def _show(module: Module) -> None:
    @module.query("GET /moods/{diary_id}", allow=authenticated)
    async def get_mood(diary_id: UUID, rows: Repository[Diary]) -> Shown:
        row = await rows.get(diary_id)
        return Shown(id=row.id, title=row.mood)


_HOLES = {
    "read": _read,
    "list": _list,
    "count": _count,
    "page": _page,
    "change": _change,
    "delete": _delete,
    "tell": _tell,
    "show": _show,
}
