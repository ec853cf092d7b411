#!/bin/sh
# SPDX-License-Identifier: ISC
# documents.sh SOURCE: what the documents say of the code is there.
set -eu
cd "$1"
manual=securemem/manual
bad=0
complain() {
    echo "$1"
    bad=1
}

if command -v mandoc >/dev/null; then
    for page in "$manual"/*.3; do
        mandoc -T lint -W warning "$page" || complain "$page: see above"
    done
else
    echo "SKIP: documents: no mandoc here, the manual's form is not checked"
fi

# Every public function and every message of misuse is in the manual.
list=$(mktemp)
trap 'rm -f "$list"' EXIT
sed -n 's/^ *\(securemem_[a-z0-9_]*\);$/\1/p' securemem/securemem.map >"$list"
while read -r name; do
    grep -rq "\\b$name\\b" "$manual" || complain "$manual: $name is missing"
    grep -rq "\\b$name\\b" include || complain "include: $name is missing"
    # In one synopsis, from which the pages are made that man(1) finds by its name.
    pages=$(for page in "$manual"/*.3; do
        sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | grep "^\.F[no] $name\b" || :
    done | wc -l)
    [ "$pages" -eq 1 ] || complain "$manual: $name is in the synopsis of $pages pages"
done <"$list"
sed -n 's/^ *return "\(.*\)";$/\1/p' securemem/secret/misuse.c | sed 's/[ :]*$//' >"$list"
[ -s "$list" ] || complain "misuse.c has no messages"
while read -r message; do
    grep -rqF "$message" "$manual" || complain "$manual: '$message' is missing"
done <"$list"

# Every test that a document names exists.
grep -ohE "(^|[^/a-z])(tests|examples)/[a-zA-Z0-9_/-]+\.[a-z]+" README.md SECURITY.md |
    sed 's/^[^a-z]//' | sort -u >"$list"
while read -r file; do
    [ -e "$file" ] || complain "$file is named, but missing"
done <"$list"

# Who says that an attack fails names the test in which it does.
grep -E "^\|([^|]*\|){2} *(stops|raises|found|it refuses)" SECURITY.md |
    grep -vE "(tests|examples)/[a-z_/]+|libsodium's tests" >"$list" || :
while read -r row; do
    complain "SECURITY.md: no test is named by: $row"
done <"$list"

# One version, everywhere.
version=$(sed -n 's/^project(securemem VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
for part in MAJOR MINOR PATCH; do
    sed -n "s/^#define SECUREMEM_VERSION_$part \(.*\)/\1/p" include/securemem/base.h
done | paste -sd. | grep -qx "$version" || complain "base.h is not version $version"
grep -q "^## $version" CHANGELOG.md || complain "CHANGELOG.md has no section for $version"
exit "$bad"
