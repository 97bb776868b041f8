// The data of the peers on Node, on the store that BENCH_DATABASE names: a file, or a database on a server.
export class SkuTaken extends Error {}

const SERVERS = { "postgresql:": "./postgres_rows.js", "mysql:": "./mysql_rows.js" };

export async function openRows(database) {
  const kept = SERVERS[database.slice(0, database.indexOf(":") + 1)] ?? "./sqlite_rows.js";
  const { Rows } = await import(kept);
  return Rows.open(database);
}
