package bench

import "fmt"

// faults are what is wrong with a run: any makes it fail.
type faults struct {
	lost, repeated, foreign uint64 // messages
	dropped                 int    // connections that the server ended
	reason                  error  // of the first
}

func (f *faults) drop(err error) {
	f.dropped++
	if f.reason == nil {
		f.reason = err
	}
}

// say puts faults into words; missing messages of all came to nobody.
func (f *faults) say(missing, all uint64) (why []string) {
	if n := f.lost + missing; n > 0 {
		why = append(why, fmt.Sprintf("%s of %s messages are missing", number(float64(n)), number(float64(all))))
	}
	if f.repeated > 0 {
		why = append(why, fmt.Sprintf("%s messages came twice or out of order", number(float64(f.repeated))))
	}
	if f.foreign > 0 {
		why = append(why, fmt.Sprintf("%s messages came to the wrong subscriber", number(float64(f.foreign))))
	}
	if f.dropped > 0 {
		why = append(why, fmt.Sprintf("%s connections were ended, the first because: %v", number(float64(f.dropped)), f.reason))
	}
	return why
}
