package tenant_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// BenchmarkAuthenticate is what each request pays to know who sent it.
func BenchmarkAuthenticate(b *testing.B) {
	w := open(b)
	grants := protocol.Grants{Subscribe: []string{"chat:*", "orders:42"}, Publish: []string{"chat:1"}}
	token, _, err := w.SignToken(w.is(w.secret.Text), "ann", grants, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	for name, credential := range map[string]string{"secret key": w.secret.Text, "publishable key": w.public.Text, "token seen before": token} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Authenticate(b.Context(), credential, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("secret key, all cores", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := w.Authenticate(b.Context(), w.secret.Text, ""); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("token never seen", func(b *testing.B) {
		b.ReportAllocs()
		tokens := make([]string, 0, 1<<12)
		for i := range cap(tokens) {
			tokens = append(tokens, forge(b, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"sub": fmt.Sprint(i), "exp": in(time.Hour), "grants": protocol.Grants{Publish: []string{""}}}))
		}
		n := 0
		for b.Loop() { // grants that are wrong are refused after the signature, so nothing is remembered
			if _, err := w.Authenticate(b.Context(), tokens[n%len(tokens)], ""); err == nil {
				b.Fatal("it was taken")
			}
			n++
		}
	})
}

// BenchmarkPrincipal is what each published message pays.
func BenchmarkPrincipal(b *testing.B) {
	w := open(b)
	token, _, err := w.SignToken(w.is(w.secret.Text), "ann", protocol.Grants{Publish: []string{"chat:*"}}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	p := w.is(token)
	b.Run("May", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := p.May(protocol.Publish, "chat:1"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Keep", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Keep("chat:1")
		}
	})
	b.Run("AllowPublish", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = p.AllowPublish(1) // refused or not, the price is the question
		}
	})
}
