package bus

import "context"

// DiskReserve is what stays free.
const DiskReserve = diskReserve

// OpenWithFree opens a bus that believes free about the space on its disk.
func OpenWithFree(ctx context.Context, o Options, free func(dir string) (uint64, error)) (*Bus, error) {
	return openBus(ctx, o, free)
}

// SetLag sets how many packets the feeds begun after it may be behind by.
func SetLag(b *Bus, packets int) {
	b.lag.packets = packets
}
