package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const columns = "id, version, created_at, updated_at, sku, name, price, stock"

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

// rows is the data: the table of items and its outbox.
type rows interface {
	get(ctx context.Context, id uuid.UUID) (item, error)
	page(ctx context.Context, limit int, cursor string) (items, error)
	add(ctx context.Context, wanted newItem) (item, error)
}

// open returns the rows in the store that is named: a file, or a database on a server.
func open(ctx context.Context, database string) (rows, error) {
	if strings.HasPrefix(database, "postgresql://") {
		return openPostgres(ctx, database)
	}
	if strings.HasPrefix(database, "mysql://") {
		return openMySQL(ctx, database)
	}
	return openSQLite(database)
}

// fill takes at most so many items from a result, and names the cursor of what follows where there is one more.
func fill(limit int, next func() bool, scan func(into ...any) error, read func(func(...any) error) (item, error)) (items, error) {
	page := items{Items: make([]item, 0, limit)}
	for next() {
		if len(page.Items) == limit {
			id := page.Items[limit-1].ID
			following := base64.RawURLEncoding.EncodeToString(id[:])
			page.Next = &following
			break
		}
		one, err := read(scan)
		if err != nil {
			return items{}, err
		}
		page.Items = append(page.Items, one)
	}
	return page, nil
}

// drafted is a new item and the id of its event.
func drafted(wanted newItem) (item, uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return item{}, id, err
	}
	event, err := uuid.NewV7()
	now := time.Now().UTC().Truncate(time.Microsecond)
	return item{id, 1, now, now, wanted.Sku, wanted.Name, decimal(cents(wanted.Price)), *wanted.Stock}, event, err
}

func payload(id uuid.UUID) string {
	return `{"item_id": "` + id.String() + `"}`
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
