package broker_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	module          = "github.com/fanfarehq/fanfare/"
	maxFileLines    = 450
	maxFuncLines    = 100
	maxInterfaceLen = 5
)

// room is a folder and the floor it is on.
type room struct {
	path  string
	floor int
}

// source is one parsed Go file.
type source struct {
	path      string // slash-separated, from the root of the module
	dir       string
	ast       *ast.File
	fset      *token.FileSet
	lines     int
	test      bool // *_test.go
	generated bool
}

// house is all source of a module.
type house struct {
	sources []source
	scripts map[string]int    // lines of each TypeScript file
	mods    map[string]string // go.mod and tools.mod
}

// rule is one rule of the house: check returns a line for each fault.
type rule struct {
	name  string
	check func(*house) []string
}

func rules() []rule {
	return []rule{
		{"floors", checkFloors},
		{"libraries", checkLibraries},
		{"standard library", checkStandardOnly},
		{"no init", checkInit},
		{"no globals", checkGlobals},
		{"only cmd ends", checkEnds},
		{"narrow interfaces", checkInterfaces},
		{"package comments", checkPackageComments},
		{"exported comments", checkExported},
		{"honest tests", checkTests},
		{"sizes", checkSizes},
		{"package names", checkPackageNames},
		{"no replace", checkReplace},
	}
}

// readHouse parses all Go files of fsys, except those that are data
// (testdata), built (dist), not ours (node_modules, hidden folders) or a house
// of their own (a module in this one).
func readHouse(fsys fs.FS) (*house, error) {
	h := &house{scripts: map[string]int{}, mods: map[string]string{}}
	fset := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			hidden := p != "." && (name[0] == '.' || name[0] == '_')
			if hidden || slices.Contains([]string{"testdata", "dist", "node_modules", "vendor", "screenshots"}, name) || strings.HasSuffix(name, "-data") {
				return fs.SkipDir
			}
			if _, err := fs.Stat(fsys, path.Join(p, "go.mod")); err == nil && p != "." {
				return fs.SkipDir
			}
			return nil
		}
		isMod := name == "go.mod" || name == "tools.mod"
		isGo, isScript := path.Ext(name) == ".go", path.Ext(name) == ".ts" && !strings.Contains(name, ".gen.")
		if !isMod && !isGo && !isScript {
			return nil
		}
		text, err := fs.ReadFile(fsys, p)
		switch {
		case err != nil:
			return err
		case isMod:
			h.mods[p] = string(text)
		case isScript:
			h.scripts[p] = countLines(text)
		default:
			f, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			h.sources = append(h.sources, source{
				path: p, dir: path.Dir(p), ast: f, fset: fset, lines: countLines(text),
				test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(f),
			})
		}
		return nil
	})
	return h, err
}

func countLines(text []byte) int {
	n := strings.Count(string(text), "\n")
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}

// within reports whether p is the folder dir or beneath it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// roomOf is the room that p stands in: the deepest that holds it. The hall is
// the folder broker alone, so that a new folder in it has to be planned.
func roomOf(p string) (room, bool) {
	var best room
	for _, r := range plan() {
		if r.path == "broker" && p != "broker" {
			continue
		}
		if within(p, r.path) && len(r.path) >= len(best.path) {
			best = r
		}
	}
	return best, best.path != ""
}

func (s source) at(n ast.Node) string {
	pos := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", pos.Filename, pos.Line)
}

// each calls fn for every node of the files that keep says yes to.
func (h *house) each(keep func(source) bool, fn func(s source, n ast.Node)) {
	for _, s := range h.sources {
		if keep(s) {
			ast.Inspect(s.ast, func(n ast.Node) bool {
				if n != nil {
					fn(s, n)
				}
				return true
			})
		}
	}
}

// imports calls fn for every import of the files that ship.
func (h *house) imports(fn func(s source, at, imported string)) {
	h.each(ships, func(s source, n ast.Node) {
		if spec, ok := n.(*ast.ImportSpec); ok {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil {
				fn(s, s.at(spec), p)
			}
		}
	})
}

func ships(s source) bool { return !s.test }

// thirdParty reports whether an import is neither ours nor of the standard
// library, whose paths have no dot in their first element.
func thirdParty(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".") && !strings.HasPrefix(imported, module)
}

func checkFloors(h *house) (faults []string) {
	for _, s := range h.sources {
		if _, ok := roomOf(s.dir); !ok {
			faults = append(faults, fmt.Sprintf("%s is in no room: give %s a floor in plan() and in ARCHITECTURE.md, or put the file into a room", s.path, s.dir))
		}
	}
	h.imports(func(s source, at, imported string) {
		target, ours := strings.CutPrefix(imported, module)
		from, ok := roomOf(s.dir)
		if !ours || !ok {
			return
		}
		to, ok := roomOf(target)
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("%s: %s is in no room", at, target))
		case from == to || to.floor < from.floor:
		case to.floor == from.floor:
			faults = append(faults, fmt.Sprintf("%s: %s imports %s across floor %d; take an interface instead, and let the hall bring them together", at, from.path, to.path, to.floor))
		default:
			faults = append(faults, fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d); imports go down only", at, from.path, from.floor, to.path, to.floor))
		}
	})
	return faults
}

func checkLibraries(h *house) (faults []string) {
	h.imports(func(s source, at, imported string) {
		if !thirdParty(imported) {
			return
		}
		for library, rooms := range libraries() {
			if !within(imported, library) {
				continue
			}
			if !slices.ContainsFunc(rooms, func(r string) bool { return within(s.dir, r) }) {
				faults = append(faults, fmt.Sprintf("%s: %s may be imported only in %s", at, imported, strings.Join(rooms, ", ")))
			}
			return
		}
		faults = append(faults, fmt.Sprintf("%s: %s is on no list: say in libraries() which room it lives in", at, imported))
	})
	return faults
}

func checkStandardOnly(h *house) (faults []string) {
	h.imports(func(s source, at, imported string) {
		target, ours := strings.CutPrefix(imported, module)
		for dir, friends := range standardOnly() {
			if !within(s.dir, dir) || within(s.dir, dir+"/internal") {
				continue
			}
			friendly := within(target, dir) || slices.ContainsFunc(friends, func(f string) bool { return within(target, f) })
			if thirdParty(imported) || ours && !friendly {
				faults = append(faults, fmt.Sprintf("%s: %s imports %s, but may import only the standard library %v", at, dir, imported, friends))
			}
		}
	})
	return faults
}

func checkInit(h *house) (faults []string) {
	h.each(ships, func(s source, n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			faults = append(faults, s.at(n)+": no init: work that nobody called for cannot be tested or left out")
		}
	})
	return faults
}

func checkGlobals(h *house) (faults []string) {
	for _, s := range h.sources {
		if s.test {
			continue
		}
		for _, decl := range s.ast.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				if constant(v) || embedded(g.Doc) || embedded(v.Doc) {
					continue
				}
				for _, name := range v.Names {
					faults = append(faults, fmt.Sprintf("%s: the package variable %s: put it into a struct that somebody owns, or make it a function or a constant", s.at(v), name.Name))
				}
			}
		}
	}
	return faults
}

// constant reports whether a package variable is one that nobody ever
// changes: an assertion, a sentinel error, a compiled pattern, embedded files.
func constant(v *ast.ValueSpec) bool {
	if !slices.ContainsFunc(v.Names, func(n *ast.Ident) bool { return n.Name != "_" }) {
		return true
	}
	if selector(v.Type) == "embed.FS" {
		return true
	}
	for _, value := range v.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok || !slices.Contains([]string{"errors.New", "regexp.MustCompile"}, selector(call.Fun)) {
			return false
		}
	}
	return len(v.Values) > 0
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// selector is "a.b" where e is that, else "".
func selector(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok {
			return x.Name + "." + sel.Sel.Name
		}
	}
	return ""
}
