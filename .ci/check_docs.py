#!/usr/bin/env python3
"""Checks what the documentation points at: links, anchors, and the commands that it shows.

    check_docs.py --book target/book --command target/debug/voxplain README.md docs/*.md

Every link inside the built book and inside the given Markdown files must lead to a file that is there, and its #anchor
to a heading. Links to other sites are counted, not followed. With --command, every `voxplain ...` in a code block or in the
text must be one that the command understands: it is run with --help added, so that it does nothing. Methods and options of
methods (`METHOD.OPTION=VALUE`) must be in the list that `voxplain explain --help` prints.
Needs Python 3.9 or later and nothing else.
"""

import argparse
import html.parser
import pathlib
import re
import shlex
import subprocess
import sys
import urllib.parse

FENCE = re.compile(r"^ *(`{3,}|~{3,})(.*)$")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
SPAN = re.compile(r"(`+)(.+?)\1")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")


class Page(html.parser.HTMLParser):
    """The anchors and links of one page of the built book."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("id"):
            self.anchors.add(attrs["id"])
        link = {"a": "href", "img": "src", "script": "src", "link": "href"}.get(tag)
        if link and attrs.get(link):
            self.links.append(attrs[link])


class Markdown:
    """The anchors (as GitHub makes them), links, code blocks and code spans of one Markdown file."""

    def __init__(self, text):
        self.anchors, self.links, self.blocks, self.spans = set(), [], [], []
        fence, block = None, []
        for line in text.splitlines():
            mark = FENCE.match(line)
            if fence is None and mark:
                # Only a block of no language holds commands; ```text is what they print.
                fence, block = mark[1], []
                if not mark[2].strip():
                    self.blocks.append(block)
            elif fence is not None and mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = None
            elif fence is not None:
                block.append(line)
            else:
                heading = HEADING.match(line)
                if heading:
                    self.anchors.add(self.slug(heading[1]))
                # Code spans may hold brackets; a link's text may be a code span.
                self.links += LINK.findall(SPAN.sub("code", line))
                self.spans += [span[1].strip() for span in SPAN.findall(line)]

    def slug(self, heading):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        base = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        slug, count = base, 0
        while slug in self.anchors:
            count += 1
            slug = f"{base}-{count}"
        return slug


def is_elsewhere(link):
    return bool(urllib.parse.urlsplit(link).scheme) or link.startswith("//")


def broken_links(root, pages, rendered):
    """One line for each link of `pages` (path -> Page or Markdown) that leads nowhere. A built page leads to built pages only."""
    found, elsewhere, inside = [], 0, 0
    for path, page in sorted(pages.items()):
        for link in page.links:
            if is_elsewhere(link):
                elsewhere += 1
                continue
            inside += 1
            parts = urllib.parse.urlsplit(link)
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (rendered and root not in target.parents):
                found.append(f"{path.relative_to(root)}: {link}: no such file")
            elif parts.fragment and target.suffix in (".html", ".md"):
                there = pages.get(target) or Markdown(target.read_text(encoding="utf-8"))
                if urllib.parse.unquote(parts.fragment) not in there.anchors:
                    found.append(f"{path.relative_to(root)}: {link}: no such heading in {target.name}")
    print(f"{len(pages)} {'pages' if rendered else 'Markdown files'}: {inside} links inside, {elsewhere} elsewhere (not followed)")
    return found


def commands(text):
    """The calls of voxplain in a block or span, as lists of words; a backslash at the end joins two lines."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\s(?:&&|\|)\s", line.strip().removeprefix("$ ")):
            words = shlex.split(part, comments=True) if part.startswith("voxplain ") else []
            words = words[: words.index(">")] if ">" in words else words
            if words and "VERB" not in words and "..." not in words:
                yield words


def unknown_commands(command, pages):
    """One line for each call, method or option in `pages` (path -> Markdown) that `command` does not understand."""
    listed = subprocess.run([command, "explain", "--help"], capture_output=True, text=True, check=True).stdout
    methods = set(re.findall(r"^  ([a-z][a-z0-9-]+) {2,}\S", listed.partition("Methods:\n")[2], re.M))
    options = set(re.findall(r"--set ([a-z0-9-]+\.[a-z0-9-]+)=", listed))
    found, calls, settings = [], 0, 0
    for path, page in sorted(pages.items()):
        said = []
        for words in (words for text in ["\n".join(b) for b in page.blocks] + page.spans for words in commands(text)):
            calls += 1
            ran = subprocess.run([command, *words[1:], "--help"], capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                found.append(f"{path.name}: {' '.join(words)}: {ran.stderr.strip().splitlines()[0]}")
            for option, value in zip(words, words[1:]):
                if option == "--method":
                    unknown = set(value.split(",")) - methods - {"all", "NAME"}
                    found += [f"{path.name}: {' '.join(words)}: no method {name}" for name in sorted(unknown)]
            said += words
        for word in said + page.spans:
            setting = re.fullmatch(r"([a-z0-9-]+)\.([a-z0-9-]+)=?.*", word)
            if setting and setting[1] in methods and "=" in word:
                settings += 1
                if f"{setting[1]}.{setting[2]}" not in options:
                    found.append(f"{path.name}: {word}: no such option")
    print(f"{calls} calls of voxplain and {settings} options of methods shown")
    if not (methods and options and calls):
        found.append("no method, option or call found: is this script still looking where they are?")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--book", type=pathlib.Path, help="the built book")
    parser.add_argument("--command", help="the program that must understand the commands shown")
    parser.add_argument("markdown", nargs="*", type=pathlib.Path)
    asked = parser.parse_args()
    found = []
    if asked.book:
        root = asked.book.resolve()
        # print.html repeats all pages, 404.html is written for the root of a site.
        files = [f for f in root.rglob("*.html") if f.name not in ("print.html", "404.html", "toc.html")]
        if not files:
            sys.exit(f"{root} holds no page")
        found += broken_links(root, {f: Page(f.read_text(encoding="utf-8")) for f in files}, rendered=True)
    markdown = {f.resolve(): Markdown(f.read_text(encoding="utf-8")) for f in asked.markdown}
    if markdown:
        found += broken_links(pathlib.Path.cwd(), markdown, rendered=False)
    if asked.command:
        found += unknown_commands(asked.command, markdown)
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
