package qrlogin

import (
	"testing"
	"time"
)

func TestPolls(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ask := func(p *polls, after time.Duration) (time.Duration, bool) {
		now = now.Add(after)
		return p.ask("a", now)
	}
	patient := newPolls()
	for n := range 50 {
		if i, slow := ask(patient, 5*time.Second); slow || i != 5*time.Second {
			t.Fatalf("ask %d of a patient client: %v, slow %v", n, i, slow)
		}
		if _, slow := ask(patient, time.Millisecond); slow { // each request twice, as some send it
			t.Fatalf("its twin %d is punished", n)
		}
	}
	hurried, told := newPolls(), 0
	for range 10 {
		if _, slow := ask(hurried, time.Second); slow {
			told++
		}
	}
	if told < 2 {
		t.Errorf("one ask a second was told to slow down %d times", told)
	}
	if i, _ := ask(hurried, time.Minute); i < 10*time.Second {
		t.Errorf("the interval is %v afterwards: five seconds more are for good", i)
	}
	full := newPolls()
	for i := range maxPolls + 10 {
		full.ask(string(rune(i))+"x", now)
	}
	if len(full.m) > maxPolls {
		t.Errorf("%d devices are remembered", len(full.m))
	}
}
