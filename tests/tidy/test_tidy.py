"""tidy.py must find what it is for: each test plants one fault in a small tree."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402


class Tree(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.root = self.dir.name
        self.write("src/meson.build", "files('base/a.c', 'main.c')")
        self.write("src/base/a.h", "#pragma once\nint a(void);\n")
        self.write("src/base/a.c", '#include "base/a.h"\n')
        self.write("tests/base/meson.build", "foreach name : ['test_a']")

    def tearDown(self):
        self.dir.cleanup()

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def found(self, check, *args):
        return [line.replace(self.root + os.sep, "") for line in check(self.root, *args)]

    def test_clean_tree(self):
        for check in (tidy.check_layers, tidy.check_pragma_once, tidy.check_banned,
                      tidy.check_listed, tidy.check_corpora):
            self.assertEqual(self.found(check), [])
        self.assertEqual(self.found(tidy.check_headers_alone, ["cc"]), [])

    def test_layers(self):
        self.write("src/base/b.c", '\n#include "proto/x.h"\n')
        self.write("src/store/b.c", '#include "store/y.h"\n#include "base/log.h"\n')
        self.write("src/raft/log.c", "#include <uv.h>\n")
        self.write("src/raft/core.c", "#include <uv.h>\n")
        self.write("src/http/b.c", '#include "b.h"\n')
        self.assertEqual(self.found(tidy.check_layers), [
            "src/base/b.c:2: base/ must not include proto/x.h",
            "src/http/b.c:1: write b.h with its folder, from src/",
            "src/raft/core.c:1: raft/ is pure and must not include uv.h",
            "src/store/b.c:2: store/ is pure and must not include base/log.h"])

    def test_pragma_once(self):
        self.write("src/base/b.h", "int b(void);\n")
        self.assertEqual(len(self.found(tidy.check_pragma_once)), 1)

    def test_banned(self):
        self.write("src/base/b.c", '/* atoi(\n */ // rand()\nchar *s = "gets(";\n'
                                   "int x = atoi (s) + my_rand() + strand();\n")
        self.assertEqual(self.found(tidy.check_banned), ["src/base/b.c:4: atoi() is banned"])

    def test_listed(self):
        self.write("src/base/b.c", "")
        self.write("tests/base/test_a.c", "")
        self.write("tests/base/test_b.c", "")
        self.assertEqual(self.found(tidy.check_listed), ["src/base/b.c:1: in no meson.build",
                                                         "tests/base/test_b.c:1: in no meson.build"])

    def test_corpora(self):
        self.write("tests/fuzz/fuzz_a.c", "")
        self.assertEqual(len(self.found(tidy.check_corpora)), 1)
        self.write("tests/fuzz/corpus/a/one", "")
        self.assertEqual(self.found(tidy.check_corpora), [])

    def test_headers_alone(self):
        self.write("src/base/b.h", "#pragma once\nsize_t b(void);\n")
        self.assertEqual(len(self.found(tidy.check_headers_alone, ["cc"])), 1)

    def test_imports(self):
        output = "\na.c.o:\n         U read@GLIBC_2.2.5\n         w free\n\nlib.p/b.c.o:\n U memcpy\n"
        self.assertEqual(list(tidy.imports_of(output)), [("a.c.o", "read"), ("b.c.o", "memcpy")])


if __name__ == "__main__":
    unittest.main()
