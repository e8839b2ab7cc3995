package main

import (
	"fmt"
	"os"
	"strings"
)

// envFile is a file of shell lines NAME=value, as the server writes them into
// its data folder. It is immutable.
type envFile struct {
	path   string
	values map[string]string
	err    error // why it could not be read
}

// readEnvFile reads path. A file that is missing has no values and an err.
func readEnvFile(path string) envFile {
	text, err := os.ReadFile(path)
	return envFile{path: path, values: parseEnv(string(text)), err: err}
}

// parseEnv reads NAME=value lines as a shell does, in the plain cases: with or
// without export, with the value bare or in one pair of quotes.
func parseEnv(text string) map[string]string {
	values := map[string]string{}
	for row := range strings.Lines(text) {
		row = strings.TrimPrefix(strings.TrimSpace(row), "export ")
		name, value, ok := strings.Cut(row, "=")
		if !ok || strings.HasPrefix(row, "#") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		values[strings.TrimSpace(name)] = value
	}
	return values
}

// readSecret reads a secret that stands in a file of its own, as container
// platforms hand them out; from is the setting that names the file.
func readSecret(path, from string) (found, bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return found{}, false, &failure{Message: fmt.Sprintf("%s: %v", from, err), Remedy: "Name a file that this user can read.", Usage: true, Err: err}
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return found{}, false, &failure{Message: fmt.Sprintf("%s: %s is empty", from, path), Remedy: "Put the secret into it.", Usage: true}
	}
	return found{value, from + " → " + path}, true, nil
}
