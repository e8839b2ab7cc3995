package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Packet is one message on its way between nodes. It is a value; Body may be
// shared and must not be changed.
type Packet struct {
	App     protocol.AppID
	Channel protocol.Channel

	// Body is the message's JSON (protocol.Message.AppendBody), at most
	// MaxBody bytes. It must name Channel: where the name is too long for a
	// subject, the other end reads it there.
	Body []byte

	// From names the session that published, so that it can be left out of the
	// fan-out; "" if none. Same characters as a message id.
	From string

	// Publishing only: how much of the channel is kept; the message's id, by
	// which a second publish within two minutes is known as the same, and
	// whether this is surely the first; and the position that the channel must
	// be at, if any.
	Keep  Keep
	ID    string
	First bool
	After *protocol.Position

	// Receiving only: where the message is, where the one before it in the
	// channel is ("" where that is not known), and when it was stored. All are
	// zero on ephemeral channels.
	Position, Previous protocol.Position
	Time               time.Time

	// Receiving only: it is a copy of a message that could not be stored yet. It
	// may come before the message, behind it, or without it.
	Early bool
}

// Receipt is what a publisher learns.
type Receipt struct {
	Position  protocol.Position // "" on ephemeral channels
	Duplicate bool              // the id was published before; Position is that of the first time
}

// PositionError says that a channel is not where a Packet's After wants it.
type PositionError struct {
	Actual protocol.Position // of the channel's last message
}

func (e *PositionError) Error() string { return "the channel is at " + string(e.Actual) }

// BatchError says which packet of a batch could not be published. Those before
// it were; of those after it some may have been.
type BatchError struct {
	Index int
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("packet %d: %v", e.Index, e.Err) }
func (e *BatchError) Unwrap() error { return e.Err }

// headerFrom carries Packet.From. A packet without it has no header at all,
// which is the fast way through the server.
const headerFrom = "Fanfare-From"

// Bounds of a durable publish. A leader that is gone answers nobody: the same
// message with the same id is tried again until one answers.
const (
	tryTime     = 400 * time.Millisecond
	tryPause    = 25 * time.Millisecond
	publishTime = 10 * time.Second
)

// Publish sends p to the feeds of all nodes, this one included. Packets of one
// goroutine arrive in the order in which it published them. On a durable
// channel nil means that the message is stored; else that it was handed to the
// message server. errors.Is finds ErrDiskFull and ErrUnavailable in an error,
// errors.As a *PositionError.
func (b *Bus) Publish(ctx context.Context, p Packet) (Receipt, error) {
	s, err := b.sending(ctx, &p)
	if err != nil {
		return Receipt{}, err
	}
	defer s.end()
	if err := s.send(); err != nil {
		return Receipt{}, err
	}
	all := [1]sending{s}
	r, err := await(ctx, all[:])
	if err == nil && s.shard != nil {
		err = b.settle(s.shard)
	}
	return r, err
}

// PublishAll publishes ps in order and returns when all are stored. The error
// is a *BatchError.
func (b *Bus) PublishAll(ctx context.Context, ps []Packet) ([]Receipt, error) {
	if len(ps) == 1 {
		r, err := b.Publish(ctx, ps[0])
		if err != nil {
			return nil, &BatchError{0, err}
		}
		return []Receipt{r}, nil
	}
	all := make([]sending, len(ps))
	out := make([]Receipt, len(ps))
	for i := range ps { // nothing goes out before all can
		var err error
		if all[i], err = b.sending(ctx, &ps[i]); err != nil {
			return nil, &BatchError{i, err}
		}
	}
	defer func() {
		for i := range all {
			all[i].end()
		}
	}()
	for i := range all {
		if err := all[i].send(); err != nil {
			return nil, &BatchError{i, err}
		}
	}
	touched := map[*shard]bool{}
	for i := range all {
		var err error
		if out[i], err = await(ctx, all[i:]); err != nil {
			return nil, &BatchError{i, err}
		}
		if all[i].shard != nil {
			touched[all[i].shard] = true
		}
	}
	for s := range touched {
		if err := b.settle(s); err != nil {
			return nil, &BatchError{0, err}
		}
	}
	return out, nil
}

// sending is one packet on its way out. It belongs to the publisher's
// goroutine: sending, send, await, end.
type sending struct {
	bus    *Bus
	packet *Packet
	msg    *nats.Msg
	shard  *shard  // nil: nothing is kept, and nobody answers
	waiter *waiter // of a durable packet that was sent
	early  bool    // a copy may still go out
	began  time.Time
}

func (b *Bus) sending(ctx context.Context, p *Packet) (sending, error) {
	m, s, err := b.message(ctx, p)
	return sending{bus: b, packet: p, msg: m, shard: s, early: b.mayCopy(p, s)}, err
}

func (s *sending) send() error {
	if s.shard != nil && s.waiter == nil {
		s.waiter, s.msg.Reply = s.bus.acks.wait()
		s.began = time.Now()
	}
	if s.shard == nil && s.bus.cluster == nil {
		if s.bus.pubs.IsClosed() {
			return classify("publishing", nats.ErrConnectionClosed)
		}
		s.bus.boxes.post(s.msg)
		return nil
	}
	err := s.bus.pubs.PublishMsg(s.msg)
	if s.shard != nil && s.bus.cluster != nil && passing(err) {
		return nil // as if nobody answered
	}
	return classify("publishing", err)
}

// end may be called at any time, and must be once it was sent.
func (s *sending) end() {
	if s.waiter != nil {
		s.bus.acks.end(s.waiter)
	}
}

// await returns when the stream has the first of left, and sends it again as
// often as nobody answers. All of left have been sent, and not been waited for.
func await(ctx context.Context, left []sending) (Receipt, error) {
	s := &left[0]
	if s.shard == nil {
		return Receipt{}, nil
	}
	w, began := s.waiter, time.Now()
	for {
		a, err := s.hear(ctx, left)
		if err != nil {
			return Receipt{}, err
		}
		r, err := s.bus.receipt(s.shard, a, s.packet)
		if !errors.Is(err, errNoAnswer) {
			return r, err
		}
		if time.Since(began) > publishTime {
			return Receipt{}, fmt.Errorf("publishing: %w: %w", ErrUnavailable, err)
		}
		w.late.Reset(tryPause)
		select {
		case <-w.late.C:
		case <-ctx.Done():
			return Receipt{}, ctx.Err()
		}
		if err := s.send(); err != nil {
			return Receipt{}, err
		}
	}
}

// hear waits for one try's answer.
func (s *sending) hear(ctx context.Context, left []sending) (ack, error) {
	wait := tryTime
	if s.early {
		wait = max(0, time.Until(s.began.Add(earlyAfter)))
	}
	for {
		s.waiter.late.Reset(wait)
		select {
		case a := <-s.waiter.answer:
			return a, nil
		case <-ctx.Done():
			return ack{}, ctx.Err()
		case <-s.waiter.late.C:
		}
		if !s.early {
			return ack{err: errNoAnswer}, nil
		}
		sendEarly(left)
		wait = tryTime - earlyAfter
	}
}

// message is p as it travels, and the shard that stores it.
func (b *Bus) message(ctx context.Context, p *Packet) (*nats.Msg, *shard, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if len(p.Body) > MaxBody {
		return nil, nil, fmt.Errorf("publishing: the body has %d bytes, %d is the most", len(p.Body), MaxBody)
	}
	if protocol.CheckID(p.From) != nil { // it must not break out of its header line
		return nil, nil, errors.New("publishing: the session's name is not valid")
	}
	s := b.shardOf(p.App, p.Channel, p.Keep)
	prefix := ephemeralPrefix
	if s != nil {
		prefix = s.ingest()
	}
	subject, err := subjectOf(prefix, p.App, p.Channel)
	if err != nil {
		return nil, nil, err
	}
	m := &nats.Msg{Subject: subject, Data: p.Body}
	if p.From != "" || s != nil {
		m.Header = make(nats.Header, 4)
	}
	if p.From != "" {
		m.Header[headerFrom] = []string{p.From}
	}
	if s == nil {
		return m, nil, nil
	}
	if err := b.checkSpace(len(p.Body)); err != nil {
		return nil, nil, classify("publishing", err)
	}
	if p.ID != "" {
		m.Header[jetstream.MsgIDHeader] = []string{dedupID(subject, p.ID)}
	}
	if p.Keep.Age < s.class.age {
		setTTL(m, max(p.Keep.Age, time.Second))
	}
	if p.After != nil {
		seq, err := s.expected(*p.After)
		if err != nil {
			return nil, nil, err
		}
		m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(seq, 10)}
	}
	return m, s, nil
}

// dedupID is a message's id as the stream remembers it: of this channel alone,
// and short, because it stays in memory for the whole window.
func dedupID(subject, id string) string {
	sum := sha256.Sum256([]byte(subject + "|" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// expected is the sequence that the channel must be at. "" is a channel
// without any message.
func (s *shard) expected(p protocol.Position) (uint64, error) {
	if p == "" {
		return 0, nil
	}
	epoch, seq, err := p.Parse()
	if err != nil {
		return 0, err
	}
	if epoch != *s.epoch.Load() { // no message of this stream has that position
		return 1<<63 - 1, nil
	}
	return seq, nil
}

// errNoAnswer: nobody said whether the message was stored.
var errNoAnswer = errors.New("the stream did not answer")

func (b *Bus) receipt(s *shard, a ack, p *Packet) (Receipt, error) {
	if b.cluster != nil && passing(a.err) {
		return Receipt{}, errNoAnswer
	}
	switch err := a.err; {
	case err == nil:
		s.answered.Store(time.Now().UnixNano())
		return Receipt{Position: s.position(a.seq), Duplicate: a.duplicate}, nil
	case isConflict(err) && p.After != nil:
		return b.conflict(s, p)
	case isDiskFull(err):
		return Receipt{}, classify("publishing", err)
	case errors.Is(err, errNoAnswer), errors.Is(err, nats.ErrNoResponders), isInProcess(err):
		return Receipt{}, errNoAnswer
	default:
		return Receipt{}, classify("publishing", err)
	}
}

// isInProcess knows the answer to an id whose first message is on its way.
func isInProcess(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && e.ErrorCode == errCodeDuplicateInProcess
}

// errCodeDuplicateInProcess is the message server's; its client has no name
// for it.
const errCodeDuplicateInProcess = 10158

// conflict is the answer to a publish whose condition did not hold. The server
// looks at the condition before the id; so the message may be there already,
// from a try whose answer was lost.
func (b *Bus) conflict(s *shard, p *Packet) (Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTime)
	defer cancel()
	subject, err := subjectOf(s.ingest(), p.App, p.Channel)
	if err != nil {
		return Receipt{}, err
	}
	if p.ID != "" {
		after, err := s.expected(*p.After)
		if err != nil {
			return Receipt{}, err
		}
		m, err := b.leaderGet(ctx, s, server.JSApiMsgGetRequest{Seq: after + 1, NextFor: subject})
		if err != nil {
			return Receipt{}, fmt.Errorf("publishing: %w: %w", ErrUnavailable, err)
		}
		if m != nil && idOf(m) == dedupID(subject, p.ID) {
			return Receipt{Position: s.position(m.Sequence), Duplicate: true}, nil
		}
	}
	var actual protocol.Position
	m, err := b.leaderGet(ctx, s, server.JSApiMsgGetRequest{LastFor: subject})
	if err != nil {
		return Receipt{}, fmt.Errorf("publishing: %w: %w", ErrUnavailable, err)
	}
	if m != nil {
		actual = s.position(m.Sequence)
	}
	return Receipt{}, &PositionError{Actual: actual}
}

// idOf is the id that a stored message came with.
func idOf(m *server.StoredMsg) string {
	h, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		return ""
	}
	return h.Get(jetstream.MsgIDHeader)
}

// settle waits for the disk where that was asked for.
func (b *Bus) settle(s *shard) error {
	if !b.syncAlways || b.cluster != nil {
		return nil
	}
	return classify("writing to the disk", s.disk.sync())
}
