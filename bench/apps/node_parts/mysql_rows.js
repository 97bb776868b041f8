// Rows in MariaDB: a pool of mysql2, whose connections keep the statements that are executed prepared.
import mysql from "mysql2/promise";
import { parse, stringify, v7 } from "uuid";
import { SkuTaken } from "./rows.js";

const CONNECTIONS = 10;
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS items (
    id BINARY(16) PRIMARY KEY, version INTEGER NOT NULL, created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL, sku VARCHAR(40) NOT NULL UNIQUE, name VARCHAR(200) NOT NULL,
    price DECIMAL(12, 2) NOT NULL, stock BIGINT NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS outbox (
    id BINARY(16) PRIMARY KEY, created_at DATETIME(6) NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
  )`,
];
const COLUMNS = "id, version, created_at, updated_at, sku, name, price, stock";
const ONE = `SELECT ${COLUMNS} FROM items WHERE id = ?`;
const PAGE = `SELECT ${COLUMNS} FROM items WHERE id > ? ORDER BY id LIMIT ?`;
const ADD = `INSERT INTO items (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
const EMIT = "INSERT INTO outbox (id, created_at, event, payload) VALUES (?, ?, ?, ?)";
const FIRST = Buffer.alloc(16);
const DUPLICATE = "ER_DUP_ENTRY";

const told = (row) => ({ ...row, id: stringify(row.id) });

export class Rows {
  #pool;

  static async open(url) {
    const rows = new Rows();
    const options = { connectionLimit: CONNECTIONS, maxIdle: CONNECTIONS, idleTimeout: 2 ** 30, timezone: "Z" };
    rows.#pool = mysql.createPool({ uri: url, ...options });
    for (const statement of SCHEMA) await rows.#pool.query(statement);
    return rows;
  }

  async get(id) {
    const [rows] = await this.#pool.execute(ONE, [Buffer.from(parse(id))]);
    return rows.length ? told(rows[0]) : undefined;
  }

  async page(limit, cursor) {
    const after = cursor === undefined ? FIRST : Buffer.from(parse(stringify(Buffer.from(cursor, "base64url"))));
    const [rows] = await this.#pool.execute(PAGE, [after, String(limit + 1)]); // a number would be sent as a double
    const next = rows.length > limit ? rows[limit - 1].id.toString("base64url") : null;
    return { items: rows.slice(0, limit).map(told), next };
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
    const connection = await this.#pool.getConnection();
    try {
      await connection.query("BEGIN");
      await connection.execute(ADD, Object.values({ ...item, id: Buffer.from(parse(item.id)) }));
      const payload = JSON.stringify({ item_id: item.id });
      await connection.execute(EMIT, [Buffer.from(parse(v7())), now, "bench.ItemMade", payload]);
      await connection.query("COMMIT");
      return item;
    } catch (error) {
      await connection.query("ROLLBACK");
      if (error.code === DUPLICATE) throw new SkuTaken();
      throw error;
    } finally {
      connection.release();
    }
  }
}
