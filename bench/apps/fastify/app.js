// Fastify with its own parts: compiled JSON schemas (all faults, nothing coerced, nothing removed), @fastify/jwt with its
// cache, pino, and better-sqlite3 or pg with prepared statements.
import Fastify from "fastify";
import jwt from "@fastify/jwt";
import addFormats from "ajv-formats";
import client from "prom-client";
import { Buckets } from "./buckets.js";
import { openRows, SkuTaken } from "./rows.js";

const app = Fastify({
  disableRequestLogging: true, // one line a request, written below, in place of two
  requestIdHeader: "x-request-id",
  genReqId: () => crypto.randomUUID(),
  logger: { level: "info", base: null },
  ajv: {
    customOptions: { allErrors: true, coerceTypes: false, removeAdditional: false },
    plugins: [addFormats],
  },
});
const rows = await openRows(process.env.BENCH_DATABASE);
const wide = new Buckets(100_000_000, 60);
const narrow = new Buckets(3, 60);

const calls = new client.Counter({ name: "calls_total", help: "Calls.", labelNames: ["route", "status"] });
const seconds = new client.Histogram({ name: "call_seconds", help: "Seconds.", labelNames: ["route"] });

app.register(jwt, {
  secret: process.env.BENCH_SECRET,
  verify: { algorithms: ["HS256"], allowedAud: "bench", allowedIss: "bench", cache: true },
});

app.addHook("onSend", async (request, reply) => {
  reply.header("x-request-id", request.id);
});
app.addHook("onResponse", async (request, reply) => {
  const route = request.routeOptions.url ?? "-";
  calls.inc({ route, status: reply.statusCode });
  seconds.observe({ route }, reply.elapsedTime / 1000);
  app.log.info(
    {
      route,
      status: reply.statusCode,
      duration_ms: reply.elapsedTime,
      request_id: request.id,
      method: request.method,
      path: request.url,
      peer: request.ip,
    },
    "call",
  );
});
app.setErrorHandler((error, request, reply) => {
  if (error.validation) return reply.code(422).send({ detail: "invalid", faults: error.validation });
  if (error instanceof SkuTaken) return reply.code(409).send({ detail: "sku exists" });
  const status = error.statusCode ?? 500;
  if (status >= 500) request.log.error(error);
  return reply.code(status).send({ detail: status < 500 ? error.message : "internal error" });
});

const refusal = (statusCode, message) => Object.assign(new Error(message), { statusCode });

async function manager(request) {
  await request.jwtVerify();
  if (!wide.take(request.user.sub)) throw refusal(429, "too many requests");
  if (!request.user.roles?.includes("manager")) throw refusal(403, "forbidden");
}

const part = {
  type: "object",
  additionalProperties: false,
  required: ["sku", "quantity", "price"],
  properties: {
    sku: { type: "string", minLength: 1, maxLength: 40, pattern: "^[A-Z0-9-]+$" },
    quantity: { type: "integer", minimum: 1, maximum: 100 },
    price: { type: "number", minimum: 0 },
  },
};
const form = {
  type: "object",
  additionalProperties: false,
  required: ["name", "email", "age", "score", "active", "country", "tags", "born", "reference", "parts"],
  properties: {
    name: { type: "string", minLength: 1, maxLength: 100 },
    email: { type: "string", format: "email" },
    age: { type: "integer", minimum: 0, maximum: 150 },
    score: { type: "number", minimum: 0, maximum: 1 },
    active: { type: "boolean" },
    country: { type: "string", minLength: 2, maxLength: 2 },
    tags: { type: "array", maxItems: 10, items: { type: "string" } },
    note: { type: ["string", "null"], maxLength: 500 },
    born: { type: "string", format: "date-time" },
    reference: { type: "string", format: "uuid" },
    parts: { type: "array", minItems: 1, maxItems: 20, items: part },
  },
};
const taken = {
  type: "object",
  properties: { name: { type: "string" }, parts: { type: "integer" }, total: { type: "number" } },
};
const newItem = {
  type: "object",
  additionalProperties: false,
  required: ["sku", "name", "price", "stock"],
  properties: {
    sku: { type: "string", minLength: 1, maxLength: 40 },
    name: { type: "string", minLength: 1, maxLength: 200 },
    price: { type: "string", pattern: "^\\d{1,10}(\\.\\d{1,2})?$" },
    stock: { type: "integer", minimum: 0 },
  },
};
const item = {
  type: "object",
  properties: {
    id: { type: "string" },
    version: { type: "integer" },
    created_at: { type: "string" },
    updated_at: { type: "string" },
    sku: { type: "string" },
    name: { type: "string" },
    price: { type: "string" },
    stock: { type: "integer" },
  },
};
const page = {
  type: "object",
  properties: { items: { type: "array", items: item }, next: { type: ["string", "null"] } },
};
const hello = { type: "object", properties: { message: { type: "string" } } };
const byId = { type: "object", properties: { id: { type: "string", format: "uuid" } } };
const paging = {
  type: "object",
  properties: { limit: { type: "string", pattern: "^([1-9]\\d?|100)$" }, cursor: { type: "string", maxLength: 100 } },
};

const take = (body) => ({
  name: body.name,
  parts: body.parts.length,
  total: body.parts.reduce((sum, one) => sum + one.price * one.quantity, 0),
});

app.get("/hello", { schema: { response: { 200: hello } } }, async () => ({ message: "hello" }));
app.get("/limited", { schema: { response: { 200: hello } } }, async (request) => {
  if (!narrow.take(request.ip)) throw refusal(429, "too many requests");
  return { message: "hello" };
});
app.get("/metrics", async (request, reply) => {
  reply.type(client.register.contentType);
  return client.register.metrics();
});
app.post("/forms", { schema: { body: form, response: { 201: taken } } }, async (request, reply) => {
  reply.code(201);
  return take(request.body);
});
app.post(
  "/chain",
  { onRequest: manager, schema: { body: form, response: { 201: taken } } },
  async (request, reply) => {
    reply.code(201);
    return take(request.body);
  },
);
app.get("/items/:id", { schema: { params: byId, response: { 200: item } } }, async (request) => {
  const found = await rows.get(request.params.id);
  if (found === undefined) throw refusal(404, "not found");
  return found;
});
app.get("/items", { schema: { querystring: paging, response: { 200: page } } }, async (request) => {
  return rows.page(Number(request.query.limit ?? 50), request.query.cursor);
});
app.post("/items", { schema: { body: newItem, response: { 201: item } } }, async (request, reply) => {
  reply.code(201);
  return rows.add(request.body);
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
