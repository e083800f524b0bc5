"""embed.py FILE NAME: a C source that defines `const char NAME[]` and `const size_t NAME_size`."""
import sys

data = open(sys.argv[1], "rb").read()
name = sys.argv[2]
print("/* Made by ui/embed.py. */\n#include \"http/ui.h\"\n\nconst char %s[] = {" % name)
for i in range(0, len(data), 20):
    print("    " + ", ".join(str(b if b < 128 else b - 256) for b in data[i:i + 20]) + ",")
print("};\nconst size_t %s_size = sizeof(%s);" % (name, name))
