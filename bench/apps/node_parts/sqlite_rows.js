// Rows in SQLite: better-sqlite3, one connection, statements prepared once, durable commits.
import Database from "better-sqlite3";
import { parse, stringify, v7 } from "uuid";
import { SkuTaken } from "./rows.js";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS items (
    id BLOB PRIMARY KEY, version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id BLOB PRIMARY KEY, created_at INTEGER NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
) STRICT, WITHOUT ROWID;`;
const COLUMNS = "id, version, created_at, updated_at, sku, name, price, stock";

function decimal(cents) {
  const digits = String(cents).padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function cents(text) {
  const [whole, places = ""] = text.split(".");
  return Number(whole) * 100 + Number(places.padEnd(2, "0"));
}

function itemOf(row) {
  const created = new Date(row.created_at).toISOString();
  const updated = row.updated_at === row.created_at ? created : new Date(row.updated_at).toISOString();
  return {
    id: stringify(row.id),
    version: row.version,
    created_at: created,
    updated_at: updated,
    sku: row.sku,
    name: row.name,
    price: decimal(row.price),
    stock: row.stock,
  };
}

export class Rows {
  #one;
  #page;
  #add;

  static open(path) {
    return new Rows(path);
  }

  constructor(path) {
    const database = new Database(path);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.exec(SCHEMA);
    this.#one = database.prepare(`SELECT ${COLUMNS} FROM items WHERE id = ?`);
    this.#page = database.prepare(`SELECT ${COLUMNS} FROM items WHERE id > ? ORDER BY id LIMIT ?`);
    const add = database.prepare(`INSERT INTO items (${COLUMNS}) VALUES (?, 1, ?, ?, ?, ?, ?, ?)`);
    const emit = database.prepare("INSERT INTO outbox (id, created_at, event, payload) VALUES (?, ?, ?, ?)");
    this.#add = database.transaction((row) => {
      add.run(row.id, row.created_at, row.updated_at, row.sku, row.name, row.price, row.stock);
      const payload = JSON.stringify({ item_id: stringify(row.id) });
      emit.run(Buffer.from(parse(v7())), row.created_at, "bench.ItemMade", payload);
    }).immediate;
  }

  get(id) {
    const row = this.#one.get(Buffer.from(parse(id)));
    return row === undefined ? undefined : itemOf(row);
  }

  page(limit, cursor) {
    const after = cursor === undefined ? Buffer.alloc(0) : Buffer.from(cursor, "base64url");
    const rows = this.#page.all(after, limit + 1);
    const next = rows.length > limit ? rows[limit - 1].id.toString("base64url") : null;
    return { items: rows.slice(0, limit).map(itemOf), next };
  }

  add(body) {
    const now = Date.now();
    const row = {
      id: Buffer.from(parse(v7())),
      version: 1,
      created_at: now,
      updated_at: now,
      sku: body.sku,
      name: body.name,
      price: cents(body.price),
      stock: body.stock,
    };
    try {
      this.#add(row);
    } catch (error) {
      if (error.code === "SQLITE_CONSTRAINT_UNIQUE") throw new SkuTaken();
      throw error;
    }
    return itemOf(row);
  }
}
