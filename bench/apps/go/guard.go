package main

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// buckets holds a token bucket a key.
type buckets struct {
	rate  rate.Limit
	burst int
	held  sync.Map
}

func newBuckets(perSecond float64, burst int) *buckets {
	return &buckets{rate: rate.Limit(perSecond), burst: burst}
}

func (b *buckets) take(key string) bool {
	found, ok := b.held.Load(key)
	if !ok {
		found, _ = b.held.LoadOrStore(key, rate.NewLimiter(b.rate, b.burst))
	}
	return found.(*rate.Limiter).Allow()
}

type claims struct {
	Roles []string `json:"roles"`
	jwt.RegisteredClaims
}

// tokens verifies tokens and keeps those that did until they expire.
type tokens struct {
	parser *jwt.Parser
	key    []byte
	mutex  sync.RWMutex
	known  map[string]*claims
}

const maxKnown = 10_000

func newTokens(key []byte) *tokens {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256"}),
		jwt.WithAudience("bench"),
		jwt.WithIssuer("bench"),
		jwt.WithExpirationRequired(),
	)
	return &tokens{parser: parser, key: key, known: map[string]*claims{}}
}

func (t *tokens) verify(token string) (*claims, error) {
	t.mutex.RLock()
	found, ok := t.known[token]
	t.mutex.RUnlock()
	if ok && found.ExpiresAt.After(time.Now()) {
		return found, nil
	}
	found = &claims{}
	_, err := t.parser.ParseWithClaims(token, found, func(*jwt.Token) (any, error) { return t.key, nil })
	if err != nil {
		return nil, err
	}
	t.mutex.Lock()
	if len(t.known) >= maxKnown {
		clear(t.known)
	}
	t.known[token] = found
	t.mutex.Unlock()
	return found, nil
}

// manager lets only managers through, each at most as often as the limit says.
func (s *server) manager(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			refuse(w, http.StatusUnauthorized, "not authenticated")
			return
		}
		who, err := s.tokens.verify(token)
		if err != nil {
			refuse(w, http.StatusUnauthorized, "invalid token")
			return
		}
		if !s.wide.take(who.Subject) {
			refuse(w, http.StatusTooManyRequests, "too many requests")
			return
		}
		if !slices.Contains(who.Roles, "manager") {
			refuse(w, http.StatusForbidden, "forbidden")
			return
		}
		next(w, r)
	}
}
