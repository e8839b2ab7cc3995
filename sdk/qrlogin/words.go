package qrlogin

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// words are the texts of all languages: key → text with {places}. Immutable.
type words map[string]map[string]string

// defaultLanguage is spoken where none of the wanted ones is known.
const defaultLanguage = "en"

func readWords(files fs.FS) (words, error) {
	names, err := fs.Glob(files, "ui/lang/*.json")
	if err != nil {
		return nil, fmt.Errorf("qrlogin: %w", err)
	}
	w := words{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("qrlogin: %w", err)
		}
		var one map[string]string
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("qrlogin: %s: %w", name, err)
		}
		w[strings.TrimSuffix(name[len("ui/lang/"):], ".json")] = one
	}
	return w, nil
}

// say is a text with its places filled: pairs of name and value.
func (w words) say(lang, key string, pairs ...any) string {
	text, ok := w[lang][key]
	if !ok {
		text = w[defaultLanguage][key]
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, "{"+fmt.Sprint(pairs[i])+"}", fmt.Sprint(pairs[i+1]))
	}
	return text
}

// module is a language for scripts: its texts by group, without the prefix.
func (w words) module(lang string) ([]byte, bool) {
	texts, ok := w[lang]
	if !ok {
		return nil, false
	}
	groups := map[string]map[string]string{"el": {"dir": texts["dir"]}, "ph": {"dir": texts["dir"]}}
	for key, text := range texts {
		group, name, _ := strings.Cut(key, ".")
		if g := groups[group]; g != nil && name != "" {
			g[name] = text
		}
	}
	body, err := json.Marshal(groups)
	if err != nil { // strings only
		return nil, false
	}
	return append(append([]byte("export default "), body...), ";\n"...), true
}

// match is the language that the caller wants most of those that there are, by
// Accept-Language (RFC 9110, 12.5.4).
func (w words) match(r *http.Request) string {
	type wish struct {
		lang string
		q    float64
	}
	var wishes []wish
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		lang, _, _ := strings.Cut(strings.ToLower(tag), "-")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				continue
			}
			q = f
		}
		if _, ok := w[lang]; ok && q > 0 {
			wishes = append(wishes, wish{lang, q})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	if len(wishes) == 0 {
		return defaultLanguage
	}
	return wishes[0].lang
}
