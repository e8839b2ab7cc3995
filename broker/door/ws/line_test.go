package ws

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/session"
)

// pair is a line and its peer, between which the system holds little.
func pair(t *testing.T) (*line, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	_ = peer.(*net.TCPConn).SetReadBuffer(4 << 10)
	l := &line{}
	l.begin(conn, nil)
	t.Cleanup(func() { l.Close(); peer.Close() })
	return l, peer.(*net.TCPConn)
}

// record is what this test puts in the place of a frame: its kind, its number
// and as many bytes as it says.
func record(kind byte, n uint32, size int) []byte {
	b := binary.BigEndian.AppendUint32(append(make([]byte, 0, 9+size), kind), n)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return append(b, bytes.Repeat([]byte{kind ^ byte(n)}, size)...)
}

// Whole frames come out, each once and those of a kind in order, however
// little of them the system takes at a time, and whatever the library writes
// meanwhile.
func TestFramesNeverMix(t *testing.T) {
	const frames = 200
	l, peer := pair(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	var outcomes [3]int
	var sent [2]uint32 // frames that went in, by the outbox and by the library
	var over atomic.Bool
	var run, writers sync.WaitGroup
	writers.Go(func() { // as an outbox does, until each outcome was there
		defer over.Store(true)
		rnd := rand.New(rand.NewPCG(seed, 1))
		for i := uint32(0); i < frames || canTry && slices.Contains(outcomes[:], 0) && i < 100*frames; i++ {
			b := record('d', i, rnd.IntN(1<<rnd.IntN(15)+1))
			how := l.try(b)
			outcomes[how]++
			var err error
			switch how {
			case session.Refused:
				err = l.send(b)
			case session.Kept:
				err = l.send(nil)
			}
			if err != nil {
				t.Error(err)
				return
			}
			sent[0]++
		}
	})
	writers.Go(func() { // as the library does
		rnd := rand.New(rand.NewPCG(seed, 2))
		for i := uint32(0); i < frames || !over.Load(); i++ {
			if _, err := l.Write(record('c', i, rnd.IntN(125))); err != nil {
				t.Error(err)
				return
			}
			sent[1]++
		}
	})
	run.Go(func() { writers.Wait(); l.Close() })
	next := map[byte]uint32{}
	run.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 3))
		in := io.Reader(readFunc(func(b []byte) (int, error) { return peer.Read(b[:min(len(b), 1+rnd.IntN(1<<13))]) }))
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(in, head); err == io.EOF {
				return
			} else if err != nil {
				t.Error(err)
				return
			}
			kind, n := head[0], binary.BigEndian.Uint32(head[1:])
			body := make([]byte, binary.BigEndian.Uint32(head[5:])%(1<<17))
			if _, err := io.ReadFull(in, body); err != nil {
				t.Error(err)
				return
			}
			if n != next[kind] || len(bytes.Trim(body, string([]byte{kind ^ byte(n)}))) > 0 && kind^byte(n) < 0x80 {
				t.Errorf("%q %d came where %d was due, or is broken", kind, n, next[kind])
				peer.Close()
				return
			}
			next[kind]++
		}
	})
	run.Wait()
	if next['d'] != sent[0] || next['c'] != sent[1] {
		t.Errorf("%d and %d frames came, %v were written", next['d'], next['c'], sent)
	}
	t.Logf("refused, kept, sent: %v", outcomes)
	if canTry {
		for how, n := range outcomes {
			if n == 0 {
				t.Errorf("no try had the outcome %d: the test shows nothing of it", how)
			}
		}
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// A client that is gone, or that is stuck in the middle of a frame, is found
// out by whoever waits.
func TestTryOfTheGone(t *testing.T) {
	l, peer := pair(t)
	big := make([]byte, 8<<20)
	if how := l.try(big); canTry && how != session.Kept {
		t.Fatalf("8 MiB were %v", how)
	}
	if how := l.try([]byte("next")); how != session.Refused {
		t.Errorf("into the middle of a frame: %v", how)
	}
	ended := make(chan error)
	go func() { ended <- l.send([]byte("next")) }()
	peer.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for ever")
	}
	if how := l.try([]byte("more")); how != session.Refused {
		t.Errorf("to nobody: %v", how)
	}
}
