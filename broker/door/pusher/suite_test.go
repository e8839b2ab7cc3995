package pusher_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"
	oracle "github.com/pusher/pusher-http-go/v5"

	"github.com/fanfarehq/fanfare/broker"
)

// The keys that pusher-js's suite has in it.
const (
	suiteKey   = "c49a449b916bb4246729"
	suiteKeyEU = "cb7d5e50f5669e5c9ae6"
)

// node is a run of Node with the suites' servers redirected to this machine.
type node struct {
	routes map[string]int
	waits  map[string]int
	env    []string
}

// run runs a script of ../clients and returns what it wrote.
func (n node) run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	routes, err := json.Marshal(n.routes)
	if err != nil {
		t.Fatal(err)
	}
	waits, err := json.Marshal(n.waits)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	dir, err := filepath.Abs("../clients")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, "node", append([]string{"--require", filepath.Join(dir, "redirect.cjs")}, args...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), append(n.env, "DOOR_ROUTES="+string(routes), "DOOR_WAIT="+string(waits), "NODE_PATH="+filepath.Join(dir, "node_modules"))...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	return out.String(), err
}

func port(t testing.TB, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bundle builds pusher-js's integration suite for Node out of its npm package,
// with the look-ups that its own build has.
func bundle(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../clients/node_modules/pusher-js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("%v: run .ci/tools", err)
	}
	entry := `var configs = [{transport: "ws", forceTLS: true}, {transport: "ws", forceTLS: false}].filter(c => String(c.forceTLS) === process.env.SUITE_TLS);` + "\n"
	for _, spec := range []string{"cluster_config_spec", "pusher_spec/index"} {
		entry += `require("./core/` + spec + `")(configs);` + "\n"
	}
	for _, spec := range []string{"falling_back_spec", "timeout_configuration_spec", "transport_lists_spec"} { // need no server, so once is enough
		entry += `if (!configs[0].forceTLS) require("./core/` + spec + `")(configs);` + "\n"
	}
	out := filepath.Join(t.TempDir(), "suite.spec.js")
	alias := map[string]string{
		"pusher_integration": "src/core/pusher.js", "integration": "spec/javascripts/helpers/node/integration.js",
		"dom/dependencies": "spec/javascripts/helpers/node/mock-dom-dependencies.ts", "dom/dependency_loader": "spec/javascripts/helpers/node/mock-dom-dependencies.ts",
	}
	find := api.Plugin{Name: "pusher-js", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^[a-z_]`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			if a.Path == "testenv" {
				return api.OnResolveResult{Path: "testenv", Namespace: "env"}, nil
			}
			if file, ok := alias[a.Path]; ok {
				return api.OnResolveResult{Path: filepath.Join(dir, file)}, nil
			}
			for _, in := range []string{"src", "src/runtimes", "src/runtimes/node", "spec/javascripts/helpers"} {
				for _, ext := range []string{".ts", ".js", "/index.ts", ""} {
					file := filepath.Join(dir, in, a.Path+ext)
					if info, err := os.Stat(file); err == nil && !info.IsDir() {
						return api.OnResolveResult{Path: file}, nil
					}
				}
			}
			return api.OnResolveResult{}, nil // of node_modules
		})
		// In node_modules esbuild takes a .js before a .ts; this package means the other.
		b.OnResolve(api.OnResolveOptions{Filter: `^\.`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			for _, ext := range []string{".ts", ".js", "/index.ts"} {
				file := filepath.Join(a.ResolveDir, a.Path+ext)
				if info, err := os.Stat(file); err == nil && !info.IsDir() && strings.HasPrefix(file, dir) {
					return api.OnResolveResult{Path: file}, nil
				}
			}
			return api.OnResolveResult{}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: "env"}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
			text := `module.exports = "node"`
			return api.OnLoadResult{Contents: &text}, nil
		})
	}}
	r := api.Build(api.BuildOptions{
		Stdin:  &api.StdinOptions{Contents: entry, ResolveDir: filepath.Join(dir, "spec/javascripts/integration"), Sourcefile: "suite.js"},
		Bundle: true, Write: true, Outfile: out, Platform: api.PlatformNode, Format: api.FormatCommonJS, TsconfigRaw: "{}", LogLevel: api.LogLevelSilent,
		Define:    map[string]string{"VERSION": `"8.6.0"`, "RUNTIME": `"node"`, "CDN_HTTP": `""`, "CDN_HTTPS": `""`, "DEPENDENCY_SUFFIX": `""`},
		NodePaths: []string{filepath.Dir(dir)}, Plugins: []api.Plugin{find},
	})
	for _, e := range r.Errors {
		t.Errorf("%+v %s", e.Location, e.Text)
	}
	if t.Failed() {
		t.FailNow()
	}
	return out
}

// appServer is the customer's server that the suite asks for signatures and
// has publish.
func (w *world) appServer(key string) *httptest.Server {
	lib := *w.lib
	lib.Key, lib.Secret = key, "s-"+key
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth", func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		var answer []byte
		var err error
		id, params := r.Form.Get("socket_id"), []byte(r.Form.Encode())
		if strings.HasPrefix(r.Form.Get("channel_name"), "presence-") {
			answer, err = lib.AuthorizePresenceChannel(params, oracle.MemberData{UserID: id, UserInfo: map[string]string{
				"name": "Integration " + id, "email": "integration-" + id + "@example.com"}})
		} else {
			answer, err = lib.AuthorizePrivateChannel(params)
		}
		if err != nil {
			http.Error(rw, err.Error(), http.StatusForbidden)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write(answer)
	})
	mux.HandleFunc("GET /v2/send/{id}", func(rw http.ResponseWriter, r *http.Request) {
		get := func(name string) string {
			b, err := base64.StdEncoding.DecodeString(r.URL.Query().Get(name))
			if err != nil {
				w.t.Errorf("%s: %v", name, err)
			}
			return string(b)
		}
		if err := lib.Trigger(get("channel"), get("event"), json.RawMessage(get("data"))); err != nil {
			w.t.Errorf("publish: %v", err)
		}
	})
	s := httptest.NewServer(mux)
	w.t.Cleanup(s.Close)
	return s
}

// secure serves the node over TLS under the names of Pusher's servers. It
// returns the address and the certificate's file.
func (w *world) secure(names ...string) (address, ca string) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	ca = filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		w.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(w.Broker.Handler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	w.t.Cleanup(s.Close)
	return s.Listener.Addr().String(), ca
}

var specs = regexp.MustCompile(`(\d+) specs?, (\d+) failures?`)

// suite runs half of pusher-js's suite, over ws at the address plain or over
// wss, and says how many of how many specs failed. filter picks specs.
func (w *world) suite(t *testing.T, file, plain string, overTLS bool, filter ...string) (all, failed int, out string) {
	t.Helper()
	address, ca := w.secure("ws-mt1.pusher.com", "ws-eu.pusher.com")
	n := node{
		routes: map[string]int{"localhost:3000": port(t, w.appServer(suiteKey).Listener.Addr().String()), "localhost:3001": port(t, w.appServer(suiteKeyEU).Listener.Addr().String())},
		env:    []string{"NODE_EXTRA_CA_CERTS=" + ca, "SUITE_TLS=" + strconv.FormatBool(overTLS)},
	}
	for _, name := range []string{"ws-mt1.pusher.com", "ws-eu.pusher.com"} {
		n.routes[name+":80"], n.routes[name+":443"] = port(t, plain), port(t, address)
	}
	args := []string{"node_modules/jasmine/bin/jasmine.js", "--random=false", file}
	for _, f := range filter {
		args = append(args, "--filter="+f)
	}
	out, err := n.run(t, args...)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, out)
	}
	m := specs.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("the suite did not end (%v):\n%s", err, out)
	}
	all, _ = strconv.Atoi(m[1])
	failed, _ = strconv.Atoi(m[2])
	return all, failed, out
}

// startSuite is a node that has the suite's keys.
func startSuite(t *testing.T, change ...func(*broker.Config)) *world {
	w := start(t, change...)
	for _, key := range []string{suiteKey, suiteKeyEU} {
		w.admin("POST", "/v1/apps/"+w.App+"/door-keys", fmt.Sprintf(`{"door":"pusher","parts":["%s","%s","s-%s"]}`, w.appID, key, key), 201)
	}
	return w
}

// TestPusherJS runs pusher-js's own integration suite against a node: all of
// its 84 specs for Node, half of them over ws and half over wss.
func TestPusherJS(t *testing.T) {
	t.Parallel()
	w, file := startSuite(t), bundle(t)
	var total atomic.Int64
	t.Run("suite", func(t *testing.T) {
		for _, overTLS := range []bool{false, true} {
			t.Run(fmt.Sprintf("tls=%v", overTLS), func(t *testing.T) {
				t.Parallel()
				all, failed, out := w.suite(t, file, w.host, overTLS)
				if failed > 0 {
					t.Errorf("%d of %d specs failed:\n%s", failed, all, out)
				}
				total.Add(int64(all))
			})
		}
	})
	if total.Load() != 84+4 { // four prepare and restore, in each half
		t.Errorf("%d specs ran, want 84 and 4 again", total.Load())
	}
}

// TestPusherJSBites: a server with a fault fails the specs that are about it.
// The fault is put in between, so that the node itself needs none.
func TestPusherJSBites(t *testing.T) {
	t.Parallel()
	w, file := startSuite(t), bundle(t)
	for name, c := range map[string]struct {
		spec   string
		mutate func(text string) []string
	}{
		"nobody leaves": {"member removed event", func(text string) []string {
			if strings.Contains(text, "member_removed") {
				return nil
			}
			return []string{text}
		}},
		"client events come back": {"not receive a client event sent by itself", func(text string) []string {
			if strings.Contains(text, "subscription_succeeded") {
				var e event
				if json.Unmarshal([]byte(text), &e) != nil {
					return nil
				}
				// after the spec has bound its callback
				return []string{text, "later " + `{"event":"client-test","channel":"` + e.Channel + `","data":"{}"}`}
			}
			return []string{text}
		}},
		"data is not what was sent": {"receive a message sent via REST API", func(text string) []string {
			return []string{strings.ReplaceAll(text, `\"y\":`, `\"Y\":`)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			between := w.between(t, c.mutate)
			all, failed, out := w.suite(t, file, between, false, "(prepare the global config|with ws, forceTLS=false setup|with ws, forceTLS=false.*"+c.spec+")")
			if all < 3 || failed == 0 {
				t.Errorf("%d of %d specs failed:\n%s", failed, all, out)
			}
		})
	}
}
