"""Bugs planted into copies of the sources, so that it is known that the simulation finds such ones.

    mutate.py TABLE --list                 NAME FILE [WHAT FINDS IT] a line
    mutate.py TABLE FOLDER NAME OUTPUT     FILE of FOLDER with the bug NAME in it

TABLE (mutations.txt) has for each bug its name, its file, why, and what text stands in the place of
what other text. A text that is not there exactly once is an error: the table must follow the code.
"""
import re
import sys

ENTRY = re.compile(r"^== (\S+) (\S+(?: \S+)?)\n(.*?)^--\n(.*?)^\+\+\n(.*?)(?=^== |\Z)", re.M | re.S)


def mutations(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = {name: (source, old.removesuffix("\n"), new.removesuffix("\n"))
             for name, source, _, old, new in ENTRY.findall(text)}
    if len(found) != len(re.findall(r"^== ", text, re.M)):
        sys.exit(f"{path}: an entry is not well formed, or a name is used twice")
    return found


def mutate(folder, source, old, new):
    with open(f"{folder}/{source.split()[0]}", encoding="utf-8") as file:
        text = file.read()
    if text.count(old) != 1:
        sys.exit(f"{source}: this stands there {text.count(old)} times, not once:\n{old}")
    return text.replace(old, new)


def main():
    table = mutations(sys.argv[1])
    if sys.argv[2] == "--list":
        for name, (source, _, _) in table.items():
            print(name, source)
        return
    _, _, folder, name, output = sys.argv
    with open(output, "w", encoding="utf-8") as file:
        file.write(mutate(folder, *table[name]))


main()
