package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

const clientUsage = `qrlogin client registers the apps that sign their people in here (OpenID Connect).
A running server takes changes at once.

  qrlogin client add --name Shop --redirect-uri https://shop.example.com/callback [flags]
  qrlogin client list
  qrlogin client remove ID

Flags:
`

// several is a flag that may be given again and again.
type several []string

// String is flag.Value's.
func (s *several) String() string { return strings.Join(*s, ", ") }

// Set is flag.Value's.
func (s *several) Set(v string) error { *s = append(*s, v); return nil }

// clientCommand is qrlogin client.
func clientCommand(args []string, env func(string) string, out, help io.Writer) error {
	var c config
	var one oidc.Client
	var redirects, logouts several
	var public bool
	fs := flag.NewFlagSet("qrlogin client", flag.ContinueOnError)
	fs.SetOutput(help)
	text := flagsOf(fs, env)
	text(&c.data, "data", "qrlogin-data", "`folder` of the server")
	text(&c.clients, "clients", "", "JSON `file` with the apps; default clients.json in the data folder")
	text(&c.publicURL, "public-url", "", "`URL` of the server, to be printed")
	fs.StringVar(&one.ID, "id", "", "client_id; default a random one")
	fs.StringVar(&one.Name, "name", "", "`name` of the app, as people see it")
	fs.Var(&redirects, "redirect-uri", "`URI` where people come back, exactly; may be repeated")
	fs.Var(&logouts, "logout-uri", "`URI` where people may go after they signed out; may be repeated")
	fs.BoolVar(&public, "public", false, "an app in a browser, on a phone or on a desktop: it can keep no secret and gets none")
	fs.BoolVar(&one.FirstParty, "first-party", false, "your own: people are not asked whether they agree")
	fs.StringVar(&one.Alg, "alg", "", "what signs its tokens: RS256 (default) or ES256")
	fs.Usage = func() {
		_, _ = fmt.Fprint(help, clientUsage)
		fs.PrintDefaults()
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fs.Usage()
		if len(args) > 0 && strings.Contains(args[0], "h") {
			return flag.ErrHelp
		}
		return errors.New("say what to do: add, list or remove")
	}
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	path := clientsPath(c)
	list, err := readClients(path)
	if err != nil {
		return err
	}
	switch args[0] {
	case "list":
		return listClients(out, list)
	case "remove":
		i := slices.IndexFunc(list, func(c oidc.Client) bool { return c.ID == fs.Arg(0) })
		if i < 0 {
			return fmt.Errorf("no app has the id %q: see qrlogin client list", fs.Arg(0))
		}
		return writeClients(path, slices.Delete(list, i, i+1))
	case "add":
		one.RedirectURIs, one.LogoutURIs = redirects, logouts
		return addClient(out, path, list, one, public, c.publicURL)
	}
	return fmt.Errorf("%q is nothing to do with apps: add, list or remove", args[0])
}

// addClient writes the app, and prints its secret, which only now is known.
func addClient(out io.Writer, path string, list []oidc.Client, one oidc.Client, public bool, issuer string) error {
	if one.ID == "" {
		one.ID = strings.ToLower(rand.Text()[:16])
	}
	if slices.ContainsFunc(list, func(c oidc.Client) bool { return c.ID == one.ID }) {
		return fmt.Errorf("the id %q is taken: choose another with --id", one.ID)
	}
	secret := ""
	if !public {
		secret = rand.Text() + rand.Text()
		one.Secret = qrlogin.HashOf(secret)
	}
	if err := one.Check(); err != nil {
		return err
	}
	if err := writeClients(path, append(list, one)); err != nil {
		return err
	}
	if issuer != "" {
		_, _ = fmt.Fprintf(out, "issuer         %s\n", strings.TrimSuffix(issuer, "/"))
	}
	_, _ = fmt.Fprintf(out, "client_id      %s\n", one.ID)
	if secret != "" {
		_, _ = fmt.Fprintf(out, "client_secret  %s\n", secret)
	}
	return nil
}

func listClients(out io.Writer, list []oidc.Client) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "ID\tNAME\tKIND\tREDIRECT URIS")
	for _, c := range list {
		kind := "confidential"
		if c.Secret == (qrlogin.Hash{}) {
			kind = "public"
		}
		if c.FirstParty {
			kind += ", first party"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, c.Name, kind, strings.Join(c.RedirectURIs, " "))
	}
	return t.Flush()
}
