package bus

import "time"

// diskReserve is how much space stays free, in bytes. Below it, Open and every
// change of a bucket answer ErrDiskFull without asking the server: once a
// write of the server's own meets a full disk it answers nothing any more, and
// that stream takes no writes until a restart, even when there is space again.
// The reserve is for what the server writes unasked, such as expiries.
const diskReserve = 16 << 20

// checkSpace is that of the folder. In a cluster others may have space: a node
// whose disk is full is not ready, and what is published there is stored by
// the rest.
func (b *Bus) checkSpace(n int) error {
	if b.cluster != nil {
		return nil
	}
	return b.folder.checkSpace(n)
}

// plenty is so much free space that nobody fills it within a plentyTime. So
// long a node does not ask again, since each message would.
const (
	plenty     = 1 << 30
	plentyTime = 20 * time.Millisecond
)

// checkSpace is ErrDiskFull where n more bytes would touch the reserve.
func (f *folder) checkSpace(n int) error {
	if at := f.roomy.Load(); at != nil && time.Since(*at) < plentyTime {
		return nil
	}
	at := time.Now()
	free, err := f.free(f.dir)
	switch {
	case err != nil:
		return err
	case free < diskReserve+uint64(n):
		f.roomy.Store(nil)
		return ErrDiskFull
	case free > diskReserve+plenty:
		f.roomy.Store(&at)
	}
	return nil
}
