package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"
)

const sqliteSchema = `
CREATE TABLE IF NOT EXISTS items (
    id BLOB PRIMARY KEY, version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id BLOB PRIMARY KEY, created_at INTEGER NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
) STRICT, WITHOUT ROWID;`

// sqliteRows has a writer of one connection, readers beside it (WAL), statements prepared once.
type sqliteRows struct {
	writer         *sql.DB
	one, many      *sql.Stmt
	insert, record *sql.Stmt
}

func openSQLite(path string) (*sqliteRows, error) {
	source := "file:" + path + "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_txlock=immediate"
	writer, err := sql.Open("sqlite3", source)
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	if _, err := writer.Exec(sqliteSchema); err != nil {
		return nil, err
	}
	readers, err := sql.Open("sqlite3", source)
	if err != nil {
		return nil, err
	}
	readers.SetMaxOpenConns(4)
	readers.SetMaxIdleConns(4)
	made := &sqliteRows{writer: writer}
	for _, wanted := range []struct {
		into **sql.Stmt
		from *sql.DB
		text string
	}{
		{&made.one, readers, "SELECT " + columns + " FROM items WHERE id = ?"},
		{&made.many, readers, "SELECT " + columns + " FROM items WHERE id > ? ORDER BY id LIMIT ?"},
		{&made.insert, writer, "INSERT INTO items (" + columns + ") VALUES (?, 1, ?, ?, ?, ?, ?, ?)"},
		{&made.record, writer, "INSERT INTO outbox (id, created_at, event, payload) VALUES (?, ?, ?, ?)"},
	} {
		if *wanted.into, err = wanted.from.Prepare(wanted.text); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func scanSQLite(from func(...any) error) (item, error) {
	var found item
	var created, updated, cents int64
	var id []byte
	err := from(&id, &found.Version, &created, &updated, &found.Sku, &found.Name, &cents, &found.Stock)
	if err != nil {
		return found, err
	}
	found.ID, err = uuid.FromBytes(id)
	found.CreatedAt = time.UnixMicro(created).UTC()
	found.UpdatedAt = time.UnixMicro(updated).UTC()
	found.Price = decimal(cents)
	return found, err
}

func (r *sqliteRows) get(ctx context.Context, id uuid.UUID) (item, error) {
	found, err := scanSQLite(r.one.QueryRowContext(ctx, id[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return found, errNotFound
	}
	return found, err
}

func (r *sqliteRows) page(ctx context.Context, limit int, cursor string) (items, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return items{}, errBadCursor
	}
	found, err := r.many.QueryContext(ctx, after, limit+1)
	if err != nil {
		return items{}, err
	}
	defer found.Close()
	page, err := fill(limit, found.Next, found.Scan, scanSQLite)
	if err != nil {
		return items{}, err
	}
	return page, found.Err()
}

func (r *sqliteRows) add(ctx context.Context, wanted newItem) (item, error) {
	made, event, err := drafted(wanted)
	if err != nil {
		return item{}, err
	}
	stamp := made.CreatedAt.UnixMicro()
	transaction, err := r.writer.BeginTx(ctx, nil)
	if err != nil {
		return item{}, err
	}
	defer func() { _ = transaction.Rollback() }() // without effect after the commit
	insert := transaction.StmtContext(ctx, r.insert)
	if _, err := insert.ExecContext(ctx, made.ID[:], stamp, stamp, made.Sku, made.Name, cents(wanted.Price), made.Stock); err != nil {
		var refused sqlite3.Error
		if errors.As(err, &refused) && refused.ExtendedCode == sqlite3.ErrConstraintUnique {
			return item{}, errTaken
		}
		return item{}, err
	}
	record := transaction.StmtContext(ctx, r.record)
	if _, err := record.ExecContext(ctx, event[:], stamp, "bench.ItemMade", payload(made.ID)); err != nil {
		return item{}, err
	}
	if err := transaction.Commit(); err != nil {
		return item{}, err
	}
	return made, nil
}
