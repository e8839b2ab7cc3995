// Command fanfare is the binary: it serves channels, and it is the command line for
// everything a server can be asked.
//
// Each command has a file of its own name. run is the whole program without
// its process: arguments, streams and environment come in, an exit status goes
// out, and only main ends the process. A setting's value is that of the flag,
// else of the FANFARE_* variable, else of the configuration file, else of the
// data folder's demo.env and admin.env, else the default (settings.go).
//
// Exit statuses: 0 done; 1 it failed, and why stands on stderr; 2 the command
// line or the configuration is wrong; 130 interrupted.
package main
