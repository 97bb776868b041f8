package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/url"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
)

const (
	mysqlItems = `
CREATE TABLE IF NOT EXISTS items (
    id BINARY(16) PRIMARY KEY, version INTEGER NOT NULL, created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL, sku VARCHAR(40) NOT NULL UNIQUE, name VARCHAR(200) NOT NULL,
    price DECIMAL(12, 2) NOT NULL, stock BIGINT NOT NULL
)`
	mysqlOutbox = `
CREATE TABLE IF NOT EXISTS outbox (
    id BINARY(16) PRIMARY KEY, created_at DATETIME(6) NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
)`
	mysqlOne       = "SELECT " + columns + " FROM items WHERE id = ?"
	mysqlMany      = "SELECT " + columns + " FROM items WHERE id > ? ORDER BY id LIMIT ?"
	mysqlInsert    = "INSERT INTO items (" + columns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	mysqlRecord    = "INSERT INTO outbox (id, created_at, event, payload) VALUES (?, ?, ?, ?)"
	duplicateEntry = 1062
)

// mysqlRows has a pool, whose connections prepare each statement once and keep it.
type mysqlRows struct {
	database                  *sql.DB
	one, many, insert, record *sql.Stmt
}

func openMySQL(ctx context.Context, address string) (*mysqlRows, error) {
	parts, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", parts.Host, parts.Path[1:]
	config.User = parts.User.Username()
	config.Passwd, _ = parts.User.Password()
	config.ParseTime = true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	rows := &mysqlRows{database: sql.OpenDB(connector)}
	rows.database.SetMaxOpenConns(connections)
	rows.database.SetMaxIdleConns(connections)
	for _, statement := range []string{mysqlItems, mysqlOutbox} {
		if _, err = rows.database.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	for statement, text := range map[**sql.Stmt]string{
		&rows.one: mysqlOne, &rows.many: mysqlMany, &rows.insert: mysqlInsert, &rows.record: mysqlRecord,
	} {
		if *statement, err = rows.database.PrepareContext(ctx, text); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func scanMySQL(from func(...any) error) (item, error) {
	var found item
	var id []byte
	err := from(
		&id, &found.Version, &found.CreatedAt, &found.UpdatedAt, &found.Sku, &found.Name, &found.Price, &found.Stock,
	)
	if err != nil {
		return found, err
	}
	found.ID, err = uuid.FromBytes(id)
	return found, err
}

func (r *mysqlRows) get(ctx context.Context, id uuid.UUID) (item, error) {
	found, err := scanMySQL(r.one.QueryRowContext(ctx, id[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return found, errNotFound
	}
	return found, err
}

func (r *mysqlRows) page(ctx context.Context, limit int, cursor string) (items, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || (cursor != "" && len(after) != 16) {
		return items{}, errBadCursor
	}
	if cursor == "" {
		after = make([]byte, 16)
	}
	found, err := r.many.QueryContext(ctx, after, limit+1)
	if err != nil {
		return items{}, err
	}
	defer func() { _ = found.Close() }()
	page, err := fill(limit, found.Next, found.Scan, scanMySQL)
	if err != nil {
		return items{}, err
	}
	return page, found.Err()
}

func (r *mysqlRows) add(ctx context.Context, wanted newItem) (item, error) {
	made, event, err := drafted(wanted)
	if err != nil {
		return item{}, err
	}
	transaction, err := r.database.BeginTx(ctx, nil)
	if err != nil {
		return item{}, err
	}
	defer func() { _ = transaction.Rollback() }() // without effect after the commit
	_, err = transaction.StmtContext(ctx, r.insert).ExecContext(
		ctx, made.ID[:], made.Version, made.CreatedAt, made.UpdatedAt, made.Sku, made.Name, made.Price, made.Stock,
	)
	if err != nil {
		var refused *mysql.MySQLError
		if errors.As(err, &refused) && refused.Number == duplicateEntry {
			return item{}, errTaken
		}
		return item{}, err
	}
	_, err = transaction.StmtContext(ctx, r.record).ExecContext(
		ctx, event[:], made.CreatedAt, "bench.ItemMade", payload(made.ID),
	)
	if err != nil {
		return item{}, err
	}
	return made, transaction.Commit()
}
