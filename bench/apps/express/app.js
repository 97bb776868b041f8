// Express as its users write it: express.json, zod, jsonwebtoken, pino-http, prom-client, better-sqlite3 or pg.
import express from "express";
import jwt from "jsonwebtoken";
import client from "prom-client";
import pino from "pino";
import { pinoHttp } from "pino-http";
import { z } from "zod";
import { Buckets } from "./buckets.js";
import { openRows, SkuTaken } from "./rows.js";

const app = express();
app.disable("x-powered-by");
const rows = await openRows(process.env.BENCH_DATABASE);
const wide = new Buckets(100_000_000, 60);
const narrow = new Buckets(3, 60);

const calls = new client.Counter({ name: "calls_total", help: "Calls.", labelNames: ["route", "status"] });
const seconds = new client.Histogram({ name: "call_seconds", help: "Seconds.", labelNames: ["route"] });

app.use(
  pinoHttp({
    logger: pino({ base: null }),
    genReqId: (request, response) => {
      const id = request.headers["x-request-id"] ?? crypto.randomUUID();
      response.setHeader("x-request-id", id);
      return id;
    },
    quietReqLogger: true,
    quietResLogger: true,
    serializers: { req: () => undefined, res: () => undefined },
    customSuccessMessage: () => "call",
    customErrorMessage: () => "call",
    customAttributeKeys: { reqId: "request_id", responseTime: "duration_ms" },
    customProps: (request, response) => ({
      route: request.route?.path ?? "-",
      status: response.statusCode,
      method: request.method,
      path: request.originalUrl,
      peer: request.socket.remoteAddress,
    }),
  }),
);
app.use((request, response, next) => {
  const started = process.hrtime.bigint();
  response.on("finish", () => {
    const route = request.route?.path ?? "-";
    calls.inc({ route, status: response.statusCode });
    seconds.observe({ route }, Number(process.hrtime.bigint() - started) / 1e9);
  });
  next();
});

const json = express.json({ limit: "1mb" });

const Part = z.strictObject({
  sku: z.string().min(1).max(40).regex(/^[A-Z0-9-]+$/),
  quantity: z.int().min(1).max(100),
  price: z.number().min(0),
});
const Form = z.strictObject({
  name: z.string().min(1).max(100),
  email: z.email(),
  age: z.int().min(0).max(150),
  score: z.number().min(0).max(1),
  active: z.boolean(),
  country: z.string().length(2),
  tags: z.array(z.string()).max(10),
  note: z.string().max(500).nullish(),
  born: z.iso.datetime({ offset: true }),
  reference: z.guid(),
  parts: z.array(Part).min(1).max(20),
});
const NewItem = z.strictObject({
  sku: z.string().min(1).max(40),
  name: z.string().min(1).max(200),
  price: z.string().regex(/^\d{1,10}(\.\d{1,2})?$/),
  stock: z.int().min(0),
});
const Paging = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.string().max(100).optional(),
});
const Id = z.guid();

function valid(schema) {
  return (request, response, next) => {
    const parsed = schema.safeParse(request.body);
    if (!parsed.success) return response.status(422).json({ detail: "invalid", faults: parsed.error.issues });
    request.valid = parsed.data;
    next();
  };
}

function authenticated(request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") return response.status(401).json({ detail: "not authenticated" });
  try {
    request.user = jwt.verify(token, process.env.BENCH_SECRET, {
      algorithms: ["HS256"],
      audience: "bench",
      issuer: "bench",
    });
  } catch {
    return response.status(401).json({ detail: "invalid token" });
  }
  next();
}

const limited = (buckets, key) => (request, response, next) =>
  buckets.take(key(request)) ? next() : response.status(429).json({ detail: "too many requests" });
const role = (name) => (request, response, next) =>
  request.user.roles?.includes(name) ? next() : response.status(403).json({ detail: "forbidden" });

const take = (body) => ({
  name: body.name,
  parts: body.parts.length,
  total: body.parts.reduce((sum, one) => sum + one.price * one.quantity, 0),
});

app.get("/hello", (request, response) => response.json({ message: "hello" }));
app.get("/limited", limited(narrow, (request) => request.ip), (request, response) =>
  response.json({ message: "hello" }),
);
app.get("/metrics", async (request, response) => {
  response.type(client.register.contentType).send(await client.register.metrics());
});
app.post("/forms", json, valid(Form), (request, response) => response.status(201).json(take(request.valid)));
app.post(
  "/chain",
  authenticated,
  limited(wide, (request) => request.user.sub),
  role("manager"),
  json,
  valid(Form),
  (request, response) => response.status(201).json(take(request.valid)),
);
app.get("/items/:id", async (request, response) => {
  const id = Id.safeParse(request.params.id);
  const found = id.success ? await rows.get(id.data) : undefined;
  if (found === undefined) return response.status(404).json({ detail: "not found" });
  response.json(found);
});
app.get("/items", async (request, response) => {
  const paging = Paging.safeParse(request.query);
  if (!paging.success) return response.status(422).json({ detail: "invalid", faults: paging.error.issues });
  response.json(await rows.page(paging.data.limit, paging.data.cursor));
});
app.post("/items", json, valid(NewItem), async (request, response) =>
  response.status(201).json(await rows.add(request.valid)),
);

app.use((request, response) => response.status(404).json({ detail: "not found" }));
app.use((error, request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof SkuTaken) return response.status(409).json({ detail: "sku exists" });
  const status = error.status ?? 500;
  if (status >= 500) request.log.error(error);
  response.status(status).json({ detail: status < 500 ? error.message : "internal error" });
});

app.listen(Number(process.env.PORT), "127.0.0.1");
