// Rows in PostgreSQL: a pool of pg, whose connections keep the statements that have a name prepared.
import pg from "pg";
import { parse, stringify, v7 } from "uuid";
import { SkuTaken } from "./rows.js";

const CONNECTIONS = 10;
const SCHEMA = `
CREATE TABLE IF NOT EXISTS items (
    id UUID PRIMARY KEY, version INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
    sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price NUMERIC(12, 2) NOT NULL, stock BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    id UUID PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
);`;
const COLUMNS = "id, version, created_at, updated_at, sku, name, price, stock";
const ONE = { name: "one", text: `SELECT ${COLUMNS} FROM items WHERE id = $1` };
const PAGE = { name: "page", text: `SELECT ${COLUMNS} FROM items WHERE id > $1 ORDER BY id LIMIT $2` };
const ADD = { name: "add", text: `INSERT INTO items (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)` };
const EMIT = { name: "emit", text: "INSERT INTO outbox (id, created_at, event, payload) VALUES ($1, $2, $3, $4)" };
const FIRST = "00000000-0000-0000-0000-000000000000";
const UNIQUE_VIOLATION = "23505";

pg.types.setTypeParser(pg.types.builtins.INT8, Number); // no stock is beyond what a number holds

export class Rows {
  #pool;

  static async open(url) {
    const rows = new Rows();
    rows.#pool = new pg.Pool({ connectionString: url, max: CONNECTIONS, idleTimeoutMillis: 0 });
    await rows.#pool.query(SCHEMA);
    return rows;
  }

  async get(id) {
    return (await this.#pool.query({ ...ONE, values: [id] })).rows[0];
  }

  async page(limit, cursor) {
    const after = cursor === undefined ? FIRST : stringify(Buffer.from(cursor, "base64url"));
    const { rows } = await this.#pool.query({ ...PAGE, values: [after, limit + 1] });
    const next = rows.length > limit ? Buffer.from(parse(rows[limit - 1].id)).toString("base64url") : null;
    return { items: rows.slice(0, limit), next };
  }

  async add(body) {
    const now = new Date();
    const item = {
      id: v7(),
      version: 1,
      created_at: now,
      updated_at: now,
      sku: body.sku,
      name: body.name,
      price: Number(body.price).toFixed(2),
      stock: body.stock,
    };
    const client = await this.#pool.connect();
    try {
      await client.query("BEGIN");
      await client.query({ ...ADD, values: Object.values(item) });
      const payload = JSON.stringify({ item_id: item.id });
      await client.query({ ...EMIT, values: [v7(), now, "bench.ItemMade", payload] });
      await client.query("COMMIT");
      return item;
    } catch (error) {
      await client.query("ROLLBACK");
      if (error.code === UNIQUE_VIOLATION) throw new SkuTaken();
      throw error;
    } finally {
      client.release();
    }
  }
}
