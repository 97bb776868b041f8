"""The same workloads as FastAPI's users write them: its documentation's patterns, and the usual libraries."""

import base64
import logging
import os
import sys
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import AwareDatetime, BaseModel, ConfigDict, EmailStr, Field
from pythonjsonlogger.json import JsonFormatter
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Numeric, String, TypeDecorator, event, select
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["BENCH_SECRET"]
DATABASE = os.environ["BENCH_DATABASE"]
POSTGRESQL = DATABASE.startswith("postgresql://")
MYSQL = DATABASE.startswith("mysql://")
if POSTGRESQL or MYSQL:
    url = DATABASE.replace("postgresql://", "postgresql+asyncpg://", 1).replace("mysql://", "mysql+asyncmy://", 1)
    engine = create_async_engine(url, pool_size=10, max_overflow=0)
else:
    engine = create_async_engine(f"sqlite+aiosqlite:///{DATABASE}", connect_args={"timeout": 30})
sessions = async_sessionmaker(engine, expire_on_commit=False)

logger = logging.getLogger("bench")
_handler = logging.StreamHandler(sys.stdout)
_handler.setFormatter(JsonFormatter(timestamp=True))
logger.addHandler(_handler)
logger.setLevel(logging.INFO)
logger.propagate = False

CALLS = Counter("calls", "Calls.", ["route", "status"])
SECONDS = Histogram("call_seconds", "Seconds.", ["route"])


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


if not POSTGRESQL and not MYSQL:
    event.listen(engine.sync_engine, "connect", _pragmas)


class Base(DeclarativeBase):
    pass


def _now() -> datetime:
    return datetime.now(UTC)


class Utc(TypeDecorator[datetime]):
    """SQLite and MySQL keep no time zone: every time is UTC."""

    impl = DateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        return None if value is None else value.replace(tzinfo=UTC)


class Cents(TypeDecorator[Decimal]):
    """SQLite has no decimal numbers: two places, kept as an integer."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - see above
        return None if value is None else int(value.scaleb(2))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - see above
        return None if value is None else Decimal(value).scaleb(-2)


UTC_TIME = DateTime(timezone=True) if POSTGRESQL else Utc()
MONEY = Numeric(12, 2) if POSTGRESQL or MYSQL else Cents()


class Item(Base):
    __tablename__ = "items"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, default=_now)
    updated_at: Mapped[datetime] = mapped_column(UTC_TIME, default=_now)
    sku: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    price: Mapped[Decimal] = mapped_column(MONEY)
    stock: Mapped[int] = mapped_column(BigInteger)


class Outbox(Base):
    __tablename__ = "outbox"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, default=_now)
    event: Mapped[str] = mapped_column(String(100))
    payload: Mapped[str] = mapped_column(String(200))


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: str = Field(min_length=1, max_length=40, pattern=r"^[A-Z0-9-]+$")
    quantity: int = Field(ge=1, le=100)
    price: float = Field(ge=0)


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    email: EmailStr
    age: int = Field(ge=0, le=150)
    score: float = Field(ge=0, le=1)
    active: bool
    country: str = Field(min_length=2, max_length=2)
    tags: list[str] = Field(max_length=10)
    note: str | None = Field(max_length=500, default=None)
    born: AwareDatetime
    reference: uuid.UUID
    parts: list[Part] = Field(min_length=1, max_length=20)


class Taken(BaseModel):
    name: str
    parts: int
    total: float


class MakeItem(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: str = Field(min_length=1, max_length=40)
    name: str = Field(min_length=1, max_length=200)
    price: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    stock: int = Field(ge=0)


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    version: int
    created_at: datetime
    updated_at: datetime
    sku: str
    name: str
    price: Decimal
    stock: int


class Items(BaseModel):
    items: list[ItemOut]
    next: str | None


@asynccontextmanager
async def lifespan(_app: FastAPI):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


app = FastAPI(lifespan=lifespan)
limiter = Limiter(key_func=get_remote_address)
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
bearer = HTTPBearer()


async def observe(request: Request, call_next):
    request_id = request.headers.get("x-request-id") or uuid.uuid4().hex
    started = time.perf_counter()
    response = await call_next(request)
    seconds = time.perf_counter() - started
    route = request.scope.get("route")
    path = route.path if route else "-"
    CALLS.labels(path, response.status_code).inc()
    SECONDS.labels(path).observe(seconds)
    response.headers["x-request-id"] = request_id
    logger.info(
        "call",
        extra={
            "request_id": request_id,
            "method": request.method,
            "path": request.url.path,
            "route": path,
            "peer": request.client.host if request.client else "-",
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 3),
        },
    )
    return response


if not os.environ.get("BENCH_SILENT"):  # once without metrics and a log, to show what they cost here
    app.middleware("http")(observe)


async def session() -> Any:
    async with sessions() as one:
        yield one


def manager(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict[str, Any]:
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"], audience="bench", issuer="bench")
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "invalid token") from error
    if "manager" not in claims.get("roles", []):
        raise HTTPException(403, "forbidden")
    return claims


@app.get("/hello")
async def hello() -> dict[str, str]:
    return {"message": "hello"}


def _taken(form: Form) -> Taken:
    return Taken(name=form.name, parts=len(form.parts), total=sum(p.price * p.quantity for p in form.parts))


@app.post("/forms", status_code=201)
async def take_form(form: Form) -> Taken:
    return _taken(form)


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@app.get("/limited")
@limiter.limit("3/minute")
async def limited(request: Request) -> dict[str, str]:  # noqa: ARG001 - the limiter asks for it
    return {"message": "hello"}


@app.post("/chain", status_code=201)
@limiter.limit("100000000/minute")
async def chain(
    request: Request,  # noqa: ARG001 - the limiter asks for it
    form: Form,
    who: Annotated[dict[str, Any], Depends(manager)],  # noqa: ARG001 - the guard is in its making
) -> Taken:
    return _taken(form)


@app.get("/items/{item_id}")
async def get_item(item_id: uuid.UUID, db: Annotated[AsyncSession, Depends(session)]) -> ItemOut:
    item = await db.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "not found")
    return ItemOut.model_validate(item)


@app.get("/items")
async def list_items(
    db: Annotated[AsyncSession, Depends(session)],
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> Items:
    wanted = select(Item).order_by(Item.id).limit(limit + 1)
    if cursor is not None:
        wanted = wanted.where(Item.id > _decoded(cursor))
    rows = (await db.scalars(wanted)).all()
    following = base64.urlsafe_b64encode(rows[limit - 1].id.bytes).decode() if len(rows) > limit else None
    return Items(items=[ItemOut.model_validate(row) for row in rows[:limit]], next=following)


def _decoded(cursor: str) -> uuid.UUID:
    try:
        return uuid.UUID(bytes=base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        raise HTTPException(400, "invalid cursor") from error


@app.post("/items", status_code=201)
async def make_item(body: MakeItem, db: Annotated[AsyncSession, Depends(session)]) -> ItemOut:
    item = Item(sku=body.sku, name=body.name, price=body.price, stock=body.stock)
    db.add(item)
    try:
        await db.flush()
    except IntegrityError as error:
        raise HTTPException(409, "sku exists") from error
    db.add(Outbox(event="bench.ItemMade", payload=f'{{"item_id": "{item.id}"}}'))
    await db.commit()
    return ItemOut.model_validate(item)
