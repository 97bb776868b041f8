package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"
)

const (
	schema = `
CREATE TABLE IF NOT EXISTS items (
    id BLOB PRIMARY KEY, version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id BLOB PRIMARY KEY, created_at INTEGER NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
) STRICT, WITHOUT ROWID;`
	columns = "id, version, created_at, updated_at, sku, name, price, stock"
)

var (
	errNotFound  = errors.New("not found")
	errTaken     = errors.New("sku exists")
	errBadCursor = errors.New("invalid cursor")
)

type item struct {
	ID        uuid.UUID `json:"id"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Sku       string    `json:"sku"`
	Name      string    `json:"name"`
	Price     string    `json:"price"`
	Stock     int       `json:"stock"`
}

type items struct {
	Items []item  `json:"items"`
	Next  *string `json:"next"`
}

// rows is the data: a writer of one connection, readers beside it (WAL), statements prepared once.
type rows struct {
	writer         *sql.DB
	one, many      *sql.Stmt
	insert, record *sql.Stmt
}

func open(path string) (*rows, error) {
	source := "file:" + path + "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_txlock=immediate"
	writer, err := sql.Open("sqlite3", source)
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	if _, err := writer.Exec(schema); err != nil {
		return nil, err
	}
	readers, err := sql.Open("sqlite3", source)
	if err != nil {
		return nil, err
	}
	readers.SetMaxOpenConns(4)
	readers.SetMaxIdleConns(4)
	made := &rows{writer: writer}
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

func scan(from func(...any) error) (item, error) {
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

func (r *rows) get(ctx context.Context, id uuid.UUID) (item, error) {
	found, err := scan(r.one.QueryRowContext(ctx, id[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return found, errNotFound
	}
	return found, err
}

func (r *rows) page(ctx context.Context, limit int, cursor string) (items, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return items{}, errBadCursor
	}
	found, err := r.many.QueryContext(ctx, after, limit+1)
	if err != nil {
		return items{}, err
	}
	defer found.Close()
	page := items{Items: make([]item, 0, limit)}
	for found.Next() {
		if len(page.Items) == limit {
			id := page.Items[limit-1].ID
			next := base64.RawURLEncoding.EncodeToString(id[:])
			page.Next = &next
			break
		}
		one, err := scan(found.Scan)
		if err != nil {
			return items{}, err
		}
		page.Items = append(page.Items, one)
	}
	return page, found.Err()
}

func (r *rows) add(ctx context.Context, wanted newItem) (item, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return item{}, err
	}
	event, err := uuid.NewV7()
	if err != nil {
		return item{}, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	stamp := now.UnixMicro()
	price := cents(wanted.Price)
	transaction, err := r.writer.BeginTx(ctx, nil)
	if err != nil {
		return item{}, err
	}
	defer func() { _ = transaction.Rollback() }() // without effect after the commit
	insert := transaction.StmtContext(ctx, r.insert)
	if _, err := insert.ExecContext(ctx, id[:], stamp, stamp, wanted.Sku, wanted.Name, price, *wanted.Stock); err != nil {
		var refused sqlite3.Error
		if errors.As(err, &refused) && refused.ExtendedCode == sqlite3.ErrConstraintUnique {
			return item{}, errTaken
		}
		return item{}, err
	}
	payload := `{"item_id": "` + id.String() + `"}`
	record := transaction.StmtContext(ctx, r.record)
	if _, err := record.ExecContext(ctx, event[:], stamp, "bench.ItemMade", payload); err != nil {
		return item{}, err
	}
	if err := transaction.Commit(); err != nil {
		return item{}, err
	}
	return item{id, 1, now, now, wanted.Sku, wanted.Name, decimal(price), *wanted.Stock}, nil
}

func decimal(cents int64) string {
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

// cents of a text that was validated.
func cents(text string) int64 {
	whole, places, _ := strings.Cut(text, ".")
	number, _ := strconv.ParseInt(whole+(places + "00")[:2], 10, 64)
	return number
}
