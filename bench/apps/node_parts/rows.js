// The data of the peers on Node, on the store that BENCH_DATABASE names: a file, or a PostgreSQL database.
export class SkuTaken extends Error {}

export async function openRows(database) {
  const kept = database.startsWith("postgresql://") ? "./postgres_rows.js" : "./sqlite_rows.js";
  const { Rows } = await import(kept);
  return Rows.open(database);
}
