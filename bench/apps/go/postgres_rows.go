package main

import (
	"context"
	"encoding/base64"
	"errors"
	"math/big"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connections    = 10
	postgresSchema = `
CREATE TABLE IF NOT EXISTS items (
    id UUID PRIMARY KEY, version INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
    sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price NUMERIC(12, 2) NOT NULL, stock BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    id UUID PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
);`
	one             = "SELECT " + columns + " FROM items WHERE id = $1"
	many            = "SELECT " + columns + " FROM items WHERE id > $1 ORDER BY id LIMIT $2"
	insert          = "INSERT INTO items (" + columns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	record          = "INSERT INTO outbox (id, created_at, event, payload) VALUES ($1, $2, $3, $4)"
	uniqueViolation = "23505"
)

// postgresRows has a pool, whose connections prepare each statement once and keep it.
type postgresRows struct {
	pool *pgxpool.Pool
}

func openPostgres(ctx context.Context, url string) (*postgresRows, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, postgresSchema)
	return &postgresRows{pool}, err
}

func scanPostgres(from func(...any) error) (item, error) {
	var found item
	var id [16]byte
	var price pgtype.Numeric
	err := from(&id, &found.Version, &found.CreatedAt, &found.UpdatedAt, &found.Sku, &found.Name, &price, &found.Stock)
	if err != nil {
		return found, err
	}
	found.ID = id
	found.CreatedAt = found.CreatedAt.UTC()
	found.UpdatedAt = found.UpdatedAt.UTC()
	found.Price = decimal(hundredths(price))
	return found, nil
}

// hundredths of a number that has two places at most.
func hundredths(number pgtype.Numeric) int64 {
	value := number.Int.Int64()
	for exponent := number.Exp; exponent > -2; exponent-- {
		value *= 10
	}
	return value
}

func (r *postgresRows) get(ctx context.Context, id uuid.UUID) (item, error) {
	found, err := scanPostgres(r.pool.QueryRow(ctx, one, [16]byte(id)).Scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return found, errNotFound
	}
	return found, err
}

func (r *postgresRows) page(ctx context.Context, limit int, cursor string) (items, error) {
	var after [16]byte
	decoded, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || (cursor != "" && len(decoded) != len(after)) {
		return items{}, errBadCursor
	}
	copy(after[:], decoded)
	found, err := r.pool.Query(ctx, many, after, limit+1)
	if err != nil {
		return items{}, err
	}
	defer found.Close()
	page, err := fill(limit, found.Next, found.Scan, scanPostgres)
	if err != nil {
		return items{}, err
	}
	return page, found.Err()
}

func (r *postgresRows) add(ctx context.Context, wanted newItem) (item, error) {
	made, event, err := drafted(wanted)
	if err != nil {
		return item{}, err
	}
	transaction, err := r.pool.Begin(ctx)
	if err != nil {
		return item{}, err
	}
	defer func() { _ = transaction.Rollback(ctx) }() // without effect after the commit
	price := pgtype.Numeric{Int: big.NewInt(cents(wanted.Price)), Exp: -2, Valid: true}
	_, err = transaction.Exec(
		ctx, insert, [16]byte(made.ID), made.Version, made.CreatedAt, made.UpdatedAt, made.Sku, made.Name, price, made.Stock,
	)
	if err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == uniqueViolation {
			return item{}, errTaken
		}
		return item{}, err
	}
	_, err = transaction.Exec(ctx, record, [16]byte(event), made.CreatedAt, "bench.ItemMade", payload(made.ID))
	if err != nil {
		return item{}, err
	}
	return made, transaction.Commit(ctx)
}
