package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/google/uuid"
)

const maxBody = 1 << 20

// Pointers tell what is absent from what is zero.
type part struct {
	Sku      string   `json:"sku" validate:"required,max=40,sku"`
	Quantity int      `json:"quantity" validate:"required,min=1,max=100"`
	Price    *float64 `json:"price" validate:"required,min=0"`
}

type form struct {
	Name      string     `json:"name" validate:"required,max=100"`
	Email     string     `json:"email" validate:"required,email"`
	Age       *int       `json:"age" validate:"required,min=0,max=150"`
	Score     *float64   `json:"score" validate:"required,min=0,max=1"`
	Active    *bool      `json:"active" validate:"required"`
	Country   string     `json:"country" validate:"required,len=2"`
	Tags      []string   `json:"tags" validate:"required,max=10"`
	Note      *string    `json:"note" validate:"omitempty,max=500"`
	Born      *time.Time `json:"born" validate:"required"`
	Reference *uuid.UUID `json:"reference" validate:"required"`
	Parts     []part     `json:"parts" validate:"required,min=1,max=20,dive"`
}

type taken struct {
	Name  string  `json:"name"`
	Parts int     `json:"parts"`
	Total float64 `json:"total"`
}

func (f *form) taken() taken {
	total := 0.0
	for _, one := range f.Parts {
		total += *one.Price * float64(one.Quantity)
	}
	return taken{f.Name, len(f.Parts), total}
}

type newItem struct {
	Sku   string `json:"sku" validate:"required,max=40"`
	Name  string `json:"name" validate:"required,max=200"`
	Price string `json:"price" validate:"required,price"`
	Stock *int   `json:"stock" validate:"required,min=0"`
}

type fault struct {
	Field string `json:"field"`
	Rule  string `json:"rule"`
	Param string `json:"param,omitempty"`
}

var validate = newValidate()

func newValidate() *validator.Validate {
	made := validator.New(validator.WithRequiredStructEnabled())
	made.RegisterTagNameFunc(func(field reflect.StructField) string {
		return strings.Split(field.Tag.Get("json"), ",")[0]
	})
	for tag, pattern := range map[string]*regexp.Regexp{
		"sku":   regexp.MustCompile(`^[A-Z0-9-]+$`),
		"price": regexp.MustCompile(`^\d{1,10}(\.\d{1,2})?$`),
	} {
		matches := func(level validator.FieldLevel) bool { return pattern.MatchString(level.Field().String()) }
		if err := made.RegisterValidation(tag, matches); err != nil {
			panic(err)
		}
	}
	return made
}

// read decodes a body strictly and validates it; where it is refused, the answer is written.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			refuse(w, http.StatusBadRequest, "the body is no JSON")
			return false
		}
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, "something follows the body")
		return false
	}
	if err := validate.Struct(into); err != nil {
		faults := []fault{}
		for _, one := range err.(validator.ValidationErrors) {
			faults = append(faults, fault{one.Namespace(), one.Tag(), one.Param()})
		}
		answer(w, http.StatusUnprocessableEntity, map[string]any{"detail": "invalid", "faults": faults})
		return false
	}
	return true
}
