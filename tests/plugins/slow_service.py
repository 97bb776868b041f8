"""A service that asks its store for too much, in the ways that services do."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from mainstay import Conflict, Entity, Events, Module, Repository, Service, anyone, contains, field, in_, owner
from mainstay.model.structs import Event
from mainstay.sql import Sql

slow = Module("slow")


class Author(Entity):
    """Who wrote books."""

    name: str = field(max_length=100)
    country: str = field(max_length=2, default="uk")
    born: int = 1900


class Book(Entity):
    """What was written."""

    author_id: UUID = field(references=Author)
    title: str = field(max_length=200)
    year: int = 2000


class Draft(Entity, rows=owner("writer_id")):
    """What is being written."""

    writer_id: UUID
    text: str


class Written(Event):
    """A book was written."""

    title: str


class TooMany(Conflict):
    """There are too many books."""


@slow.query("GET /each", allow=anyone)
async def each(authors: Repository[Author], books: Repository[Book]) -> list[Author]:
    """Read the author of each book by itself."""
    found = []
    async for book in books.stream():
        author = await authors.get(book.author_id)  # one for each
        found.append(author)
    return found


@slow.query("GET /together", allow=anyone)
async def together(authors: Repository[Author], books: Repository[Book]) -> list[Author]:
    """Read the authors of all books at once."""
    named = [book.author_id async for book in books.stream()]
    return [author async for author in authors.stream(id=in_(named))]


@slow.query("GET /titles", allow=anyone)
async def titles(books: Repository[Book], part: str, year: int) -> list[Book]:
    """Look for titles."""
    return (await books.page(title=contains(part), year=year, sort="title")).items


@slow.query("GET /of/{author_id}", allow=anyone)
async def of_author(author_id: UUID, books: Repository[Book]) -> int:
    """Count an author's books."""
    return await books.count(author_id=author_id)


@slow.query("GET /years", allow=anyone)
async def years(sql: Sql, year: int) -> list[str]:
    """Ask in SQLAlchemy's language."""
    books = sql.table(Book)
    return [row.title for row in await sql.fetch(select(books.c.title).where(books.c.year == year))]


@slow.command("POST /books", status=201, allow=anyone)
async def write(title: str, author_id: UUID, books: Repository[Book], events: Events) -> Book:
    """Write two editions of a book."""
    if await books.count(title=title):
        raise TooMany(f"{title} is there")
    made = await books.add(Book(author_id=author_id, title=title))
    await books.add(Book(author_id=author_id, title=f"{title}, second edition"))
    events.emit(Written(title=title))
    return made


@slow.command("POST /translations", allow=anyone, external=True)
async def translate(title: str, books: Repository[Book]) -> int:
    """Reach for somebody outside."""
    return await books.count(title=title)


slow.entity(Draft)
library = Service("library", modules=[slow])


def shelf(authors: int = 6, books: int = 1) -> list[Entity]:
    """Return authors with books, to be added in this order."""
    from uuid import UUID as Id

    made: list[Entity] = []
    for n in range(authors):
        author = Author(id=Id(int=n + 1), name=f"Author {n}")
        made.append(author)
        made += [Book(author_id=author.id, title=f"Book {n}.{m}", year=1990 + n) for m in range(books)]
    return made
