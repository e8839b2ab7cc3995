// Package broker is the hall: it builds the rooms of a Fanfare node bottom-up
// (bus, tenants, hub, sessions, doors), runs them and closes them in the
// opposite order.
package broker
