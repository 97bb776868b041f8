// The bench's workloads on Go's net/http: the standard router and log, go-playground/validator, golang-jwt, the rate
// package of golang.org/x, prometheus/client_golang, and mattn/go-sqlite3 or pgx.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	calls   = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"route", "status"})
	seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "call_seconds", Help: "Seconds."}, []string{"route"})
)

type server struct {
	rows    rows
	tokens  *tokens
	wide    *buckets
	narrow  *buckets
	logger  *slog.Logger
	handler http.Handler
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// ServeHTTP observes each call: request id, figures, one line of log.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if id == "" {
		id = rand.Text()
	}
	w.Header().Set("X-Request-Id", id)
	recorded := &recorder{ResponseWriter: w, status: http.StatusOK}
	started := time.Now()
	s.handler.ServeHTTP(recorded, r)
	taken := time.Since(started)
	route := r.Pattern
	if route == "" {
		route = "-"
	}
	calls.WithLabelValues(route, strconv.Itoa(recorded.status)).Inc()
	seconds.WithLabelValues(route).Observe(taken.Seconds())
	s.logger.LogAttrs(r.Context(), slog.LevelInfo, "call",
		slog.String("route", route),
		slog.Int("status", recorded.status),
		slog.Float64("duration_ms", float64(taken.Microseconds())/1000),
		slog.String("request_id", id),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.String("peer", address(r)),
	)
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		slog.Error("an answer cannot be encoded", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have left
}

func refuse(w http.ResponseWriter, status int, detail string) {
	answer(w, status, map[string]string{"detail": detail})
}

type hello struct {
	Message string `json:"message"`
}

func (s *server) hello(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, hello{"hello"})
}

func (s *server) limited(w http.ResponseWriter, r *http.Request) {
	if !s.narrow.take(address(r)) {
		refuse(w, http.StatusTooManyRequests, "too many requests")
		return
	}
	answer(w, http.StatusOK, hello{"hello"})
}

func (s *server) takeForm(w http.ResponseWriter, r *http.Request) {
	var wanted form
	if !read(w, r, &wanted) {
		return
	}
	answer(w, http.StatusCreated, wanted.taken())
}

func (s *server) getItem(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "id is no UUID")
		return
	}
	found, err := s.rows.get(r.Context(), id)
	switch {
	case errors.Is(err, errNotFound):
		refuse(w, http.StatusNotFound, "not found")
	case err != nil:
		s.fail(w, err)
	default:
		answer(w, http.StatusOK, found)
	}
}

func (s *server) listItems(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit := 50
	if text := query.Get("limit"); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || number > 100 {
			refuse(w, http.StatusUnprocessableEntity, "limit must be from 1 to 100")
			return
		}
		limit = number
	}
	found, err := s.rows.page(r.Context(), limit, query.Get("cursor"))
	switch {
	case errors.Is(err, errBadCursor):
		refuse(w, http.StatusBadRequest, "invalid cursor")
	case err != nil:
		s.fail(w, err)
	default:
		answer(w, http.StatusOK, found)
	}
}

func (s *server) makeItem(w http.ResponseWriter, r *http.Request) {
	var wanted newItem
	if !read(w, r, &wanted) {
		return
	}
	made, err := s.rows.add(r.Context(), wanted)
	switch {
	case errors.Is(err, errTaken):
		refuse(w, http.StatusConflict, "sku exists")
	case err != nil:
		s.fail(w, err)
	default:
		answer(w, http.StatusCreated, made)
	}
}

func (s *server) fail(w http.ResponseWriter, err error) {
	s.logger.Error("fault", "error", err)
	refuse(w, http.StatusInternalServerError, "internal error")
}

func main() {
	stored, err := open(context.Background(), os.Getenv("BENCH_DATABASE"))
	if err != nil {
		log.Fatal(err)
	}
	prometheus.MustRegister(calls, seconds)
	s := &server{
		rows:   stored,
		tokens: newTokens([]byte(os.Getenv("BENCH_SECRET"))),
		wide:   newBuckets(100_000_000.0/60, 100_000_000),
		narrow: newBuckets(3.0/60, 3),
		logger: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", s.hello)
	mux.HandleFunc("GET /limited", s.limited)
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("POST /forms", s.takeForm)
	mux.HandleFunc("POST /chain", s.manager(s.takeForm))
	mux.HandleFunc("GET /items/{id}", s.getItem)
	mux.HandleFunc("GET /items", s.listItems)
	mux.HandleFunc("POST /items", s.makeItem)
	s.handler = mux
	served := http.Server{
		Addr:              "127.0.0.1:" + os.Getenv("PORT"),
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
	}
	log.Fatal(served.ListenAndServe())
}
