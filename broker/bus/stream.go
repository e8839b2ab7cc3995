package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Codes of the message server that its client has no name for.
const (
	errCodeNoPeers       = 10005 // fewer nodes than replicas
	errCodeNotAvailable  = 10008 // the store has no leader
	errCodeNotClustered  = 10074 // replicas are not to be had
	errCodeStreamOffline = 10118
	statusUnavailable    = 503
)

// openStream opens a stream and makes or changes it where need be. In a
// cluster it tries for as long as there is no leader to do it.
func (b *Bus) openStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (s jetstream.Stream, err error) {
	err = b.patiently(ctx, func(ctx context.Context) (err error) {
		want.Replicas = b.replicas
		if b.cluster == nil {
			s, err = js.CreateOrUpdateStream(ctx, want)
			return err
		}
		s, err = openShared(ctx, js, want)
		if code := apiCode(err); b.cluster.URL != "" && b.replicas > 1 && (code == errCodeNotClustered || code == errCodeNoPeers) {
			b.log.Warn("bus: NATS keeps one copy of everything, since it has no three servers with JetStream")
			b.replicas = 1
			want.Replicas = 1
			s, err = openShared(ctx, js, want)
		}
		return err
	})
	return s, err
}

// patiently does what asks the store for something: in a cluster again and
// again, while it has no leader or the question went astray with one.
func (b *Bus) patiently(ctx context.Context, do func(context.Context) error) error {
	if b.cluster == nil {
		return do(ctx)
	}
	for {
		try, cancel := context.WithTimeout(ctx, storeTry)
		err := do(try)
		cancel()
		if err == nil || !passing(err) && !notYet(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		case <-time.After(waitingPause):
		}
	}
}

// notYet reports errors of a store that does not know yet what is there: too
// few nodes, or a stream that was just made, of which a new leader hears a
// moment later.
func notYet(err error) bool {
	return apiCode(err) == errCodeNoPeers || errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// storeTry is how long one question to the store may take: time enough to make
// a replicated stream.
const storeTry = 4 * time.Second

// openShared opens a stream that other nodes may be opening, too. What is as it
// should be is left alone: each change of a stream goes through its voters.
func openShared(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	have := s.CachedInfo().Config
	want.Replicas = max(want.Replicas, have.Replicas) // it may be grown, never shrunk
	if have.Replicas == want.Replicas && have.MaxAge == want.MaxAge && have.MaxMsgsPerSubject == want.MaxMsgsPerSubject &&
		have.MaxBytes == want.MaxBytes && have.Duplicates == want.Duplicates && have.AllowDirect == want.AllowDirect &&
		have.AllowRollup == want.AllowRollup && have.AllowAtomicPublish == want.AllowAtomicPublish {
		return s, nil
	}
	return js.UpdateStream(ctx, want)
}

func apiCode(err error) jetstream.ErrorCode {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.ErrorCode
	}
	return 0
}

// passing reports errors that go by when the store has found a leader.
func passing(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.Code == statusUnavailable || e.ErrorCode == errCodeNotAvailable || e.ErrorCode == errCodeStreamOffline
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrDisconnected)
}

// patient reads again, in a cluster, while nobody answers: the stream has no
// leader, or this node's copy has only begun.
func (b *Bus) patient(ctx context.Context, read func() error) error {
	for began := time.Now(); ; {
		err := read()
		if b.cluster == nil || !passing(err) || time.Since(began) > publishTime {
			return err
		}
		select {
		case <-time.After(tryPause):
		case <-ctx.Done():
			return err
		}
	}
}

// info asks a stream's leader for its state, and waits for one in a cluster.
func (b *Bus) info(ctx context.Context, s *shard) (*jetstream.StreamInfo, error) {
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		info, err := s.js.Info(try)
		cancel()
		if err == nil || b.cluster == nil || !passing(err) && !notYet(err) || ctx.Err() != nil {
			return info, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(healPause):
		}
	}
}

// behind asks a stream's leader for the first message at or behind seq, of the
// subject or "" of any. 0 = there is none. Unlike a direct get it is never late.
func (b *Bus) behind(ctx context.Context, s *shard, seq uint64, subject string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	m, err := b.leaderGet(ctx, s, server.JSApiMsgGetRequest{Seq: max(seq, 1), NextFor: orAny(subject)})
	if m == nil || err != nil {
		return 0, err
	}
	return m.Sequence, nil
}

func orAny(subject string) string {
	if subject == "" {
		return ">"
	}
	return subject
}

// leaderGet reads one message from the stream's leader; nil = there is none.
func (b *Bus) leaderGet(ctx context.Context, s *shard, q server.JSApiMsgGetRequest) (*server.StoredMsg, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	m, err := b.reads.RequestWithContext(ctx, fmt.Sprintf(server.JSApiMsgGetT, s.stream), body)
	if err != nil {
		return nil, err
	}
	var answer server.JSApiMsgGetResponse
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, err
	}
	if answer.Error != nil {
		if answer.Error.Code == 404 {
			return nil, nil
		}
		return nil, answer.Error
	}
	return answer.Message, nil
}

// current waits until the copy that answers direct gets, which is this node's
// own, has all that the feed has brought.
func (b *Bus) current(ctx context.Context, s *shard) error {
	if b.cluster == nil {
		return nil
	}
	for want := s.last.Load(); want > 0; {
		_, err := s.js.GetMsg(ctx, want)
		if err == nil || !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		at, err := b.behind(ctx, s, want, "")
		switch {
		case err != nil && time.Since(time.Unix(0, s.moved.Load())) > deadAfter:
			return nil // without a leader: nothing has come for long enough to be here
		case err != nil:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case at == 0:
			return nil // it has gone, and was the last
		}
		want = at
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(healPause):
		}
	}
	return nil
}
