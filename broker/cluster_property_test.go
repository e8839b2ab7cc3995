package broker_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestClusterResumeProperty: clients change nodes at random while nodes are
// killed, stopped and started at random, and with them the leaders of a third
// of the streams, under load. Each client gets all, once and in order.
//
// claims: 3.3 3.11 4.2
func TestClusterResumeProperty(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := startNodes(t)
	c.rules(keepMuch, `"much"`)
	channels := []string{"much:0", "much:1", "much:2", "much:3", "much:4"}
	clients, at := make([]*tail, 4), make([]int, 4)
	connect := func(i, n int) {
		at[i] = n
		clients[i].overWS(c.all[n].Server)
	}
	for i := range clients {
		clients[i] = newTail(t, channels...)
		connect(i, rnd.IntN(3))
	}
	// move has a client go on at another node, or the same; not at the dead one.
	move := func(i, dead int) {
		clients[i].drop()
		n := rnd.IntN(3)
		for n == dead {
			n = rnd.IntN(3)
		}
		connect(i, n)
		if !clients[i].recovered() {
			t.Fatalf("client %d, now at node %d, did not get all back: %+v", i, n, clients[i].told)
		}
	}
	acks := [][]sent{}
	for round := range 2 {
		l := c.load(fmt.Sprint("round", round), 4, channels...)
		l.more(t, 100)
		for range 4 {
			move(rnd.IntN(4), -1)
		}
		dead := rnd.IntN(3)
		if rnd.IntN(2) == 0 {
			c.all[dead].kill()
		} else {
			c.all[dead].stop(t)
		}
		for i := range clients {
			if at[i] == dead || rnd.IntN(2) == 0 {
				move(i, dead)
			}
		}
		l.more(t, 100)
		c.again(dead)
		c.ready(dead)
		for range 4 {
			move(rnd.IntN(4), -1)
		}
		l.more(t, 50)
		l.stop(t)
		acks = append(acks, l.acks...)
	}
	kept := map[string][]frame{}
	for _, ch := range channels {
		kept[ch] = history(t, c.all[0].Server, ch)
		rising(t, ch, kept[ch])
	}
	allThere(t, c.all[rnd.IntN(3)].Server, channels, acks)
	for i, client := range clients {
		c.complete(fmt.Sprint("client ", i), client, kept)
	}
}
