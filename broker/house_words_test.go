package broker_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
)

func checkEnds(h *house) (faults []string) {
	ends := []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf", "log.Panicln", "syscall.Exit"}
	h.each(ships, func(s source, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		program := s.ast.Name.Name == "main" && (within(s.dir, "cmd") || strings.Contains(s.dir, "/internal/"))
		if ok && !program && slices.Contains(ends, selector(call.Fun)) {
			faults = append(faults, fmt.Sprintf("%s: %s: only a program ends the process; return an error", s.at(n), selector(call.Fun)))
		}
	})
	return faults
}

func checkInterfaces(h *house) (faults []string) {
	local := map[string]*ast.InterfaceType{} // dir.Name, for embedded ones
	h.each(ships, func(s source, n ast.Node) {
		if t, ok := n.(*ast.TypeSpec); ok {
			if i, ok := t.Type.(*ast.InterfaceType); ok {
				local[s.dir+"."+t.Name.Name] = i
			}
		}
	})
	h.each(ships, func(s source, n ast.Node) {
		if t, ok := n.(*ast.TypeSpec); ok && local[s.dir+"."+t.Name.Name] == t.Type {
			if got := methods(local, s.dir, local[s.dir+"."+t.Name.Name], 0); got > maxInterfaceLen {
				faults = append(faults, fmt.Sprintf("%s: the interface %s has %d methods, more than %d: let each user ask for what it needs", s.at(n), t.Name.Name, got, maxInterfaceLen))
			}
		}
	})
	return faults
}

// methods counts what i asks for. An interface of another package that is
// embedded counts as one.
func methods(local map[string]*ast.InterfaceType, dir string, i *ast.InterfaceType, depth int) (n int) {
	if i == nil || depth > 9 {
		return 0
	}
	for _, f := range i.Methods.List {
		if name, ok := f.Type.(*ast.Ident); ok && len(f.Names) == 0 && local[dir+"."+name.Name] != nil {
			n += methods(local, dir, local[dir+"."+name.Name], depth+1)
			continue
		}
		n += max(1, len(f.Names))
	}
	return n
}

func checkPackageComments(h *house) (faults []string) {
	said, wanted := map[string]bool{}, map[string]string{}
	for _, s := range h.sources {
		if s.test {
			continue
		}
		want := "Package " + s.ast.Name.Name + " "
		if s.ast.Name.Name == "main" {
			want = "Command " + path.Base(s.dir) + " "
		}
		wanted[s.dir] = want
		said[s.dir] = said[s.dir] || strings.HasPrefix(s.ast.Doc.Text(), want)
	}
	for _, dir := range slices.Sorted(maps.Keys(wanted)) {
		if !said[dir] {
			faults = append(faults, fmt.Sprintf("%s has no comment that begins with %q above its package clause", dir, wanted[dir]))
		}
	}
	return faults
}

func checkExported(h *house) (faults []string) {
	fault := func(s source, n ast.Node, what string) {
		faults = append(faults, fmt.Sprintf("%s: %s has no comment: say what it is, its concurrency rules and its life", s.at(n), what))
	}
	for _, s := range h.sources {
		if s.test || s.generated || s.ast.Name.Name == "main" {
			continue
		}
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !hidden(d.Recv) && !selfEvident(d) {
					fault(s, d, "the function "+d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if t, ok := spec.(*ast.TypeSpec); ok && t.Name.IsExported() && d.Doc == nil && t.Doc == nil {
						fault(s, t, "type "+t.Name.Name)
					}
				}
			}
		}
	}
	return faults
}

// hidden reports whether a method's receiver is a type that is not exported.
func hidden(recv *ast.FieldList) bool {
	if recv == nil || len(recv.List) == 0 {
		return false
	}
	e := recv.List[0].Type
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.IndexListExpr:
			e = t.X
		case *ast.Ident:
			return !t.IsExported()
		default:
			return false
		}
	}
}

// selfEvident are methods whose interface in the standard library says all.
func selfEvident(f *ast.FuncDecl) bool {
	return f.Recv != nil && slices.Contains([]string{"String", "Error", "Unwrap", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "ServeHTTP", "Len", "Less", "Swap"}, f.Name.Name)
}

// bubbleMakers are the functions of each folder's tests that run what they are
// given in a bubble of testing/synctest, as "folder.name".
func bubbleMakers(h *house) map[string]bool {
	makers := map[string]bool{}
	for _, s := range h.sources {
		for _, decl := range s.ast.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !s.test || strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok && selector(e) == "synctest.Test" {
					makers[s.dir+"."+f.Name.Name] = true
				}
				return true
			})
		}
	}
	return makers
}

func checkTests(h *house) (faults []string) {
	makers := bubbleMakers(h)
	for _, s := range h.sources {
		if !s.test {
			continue
		}
		bubbles := map[ast.Node]bool{} // what runs inside synctest.Test, where the clock is not the real one
		h.each(func(o source) bool { return o.path == s.path }, func(_ source, n ast.Node) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return
			}
			name := selector(call.Fun)
			_, method, _ := strings.Cut(name, ".")
			own, _ := call.Fun.(*ast.Ident)
			switch {
			case name == "synctest.Test", own != nil && makers[s.dir+"."+own.Name]:
				ast.Inspect(call, func(n ast.Node) bool {
					bubbles[n] = true
					return true
				})
			case name == "time.Sleep" && !bubbles[n]:
				faults = append(faults, s.at(n)+": time.Sleep: a test waits for what it waits for (a channel, a condition with a deadline), or has the clock of testing/synctest")
			case method == "Skip" || method == "Skipf" || method == "SkipNow":
				faults = append(faults, fmt.Sprintf("%s: %s: a test that is skipped is green without being true; make it run, or fail and say what to install", s.at(n), name))
			}
		})
	}
	return faults
}

func checkSizes(h *house) (faults []string) {
	for _, s := range h.sources {
		if s.generated {
			continue
		}
		if s.lines > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d: find the second noun in it", s.path, s.lines, maxFileLines))
		}
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFuncLines {
					faults = append(faults, fmt.Sprintf("%s: %s has %d lines, more than %d: find the second verb in it", s.at(f), f.Name.Name, n, maxFuncLines))
				}
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(h.scripts)) {
		if n := h.scripts[p]; n > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d: find the second noun in it", p, n, maxFileLines))
		}
	}
	return faults
}

func checkPackageNames(h *house) (faults []string) {
	for _, s := range h.sources {
		name := strings.TrimSuffix(s.ast.Name.Name, "_test")
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base"}, name) {
			faults = append(faults, fmt.Sprintf("%s: package %s says nothing: name what it is about", s.path, name))
		}
	}
	return faults
}

func checkReplace(h *house) (faults []string) {
	for _, p := range slices.Sorted(maps.Keys(h.mods)) {
		for line := range strings.Lines(h.mods[p]) {
			if f := strings.Fields(line); len(f) > 0 && f[0] == "replace" {
				faults = append(faults, p+" has a replace: go install would not see it")
			}
		}
	}
	return faults
}
