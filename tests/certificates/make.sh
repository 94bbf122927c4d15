#!/usr/bin/env bash
# Makes the certificates of this folder anew, good from 2020 to 2120: two roots, and servers that they vouch for, each
# with its key. The keys are known to everybody and good for nothing but tests.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat > "$work/configuration" << END
[ca]
default_ca = here
[here]
database = $work/database
new_certs_dir = $work
rand_serial = yes
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
END
touch "$work/database"

signed() { # NAME, COMMON NAME, EXTENSIONS, HOW IT IS SIGNED…
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$work/$1.key" -subj "/CN=$2" \
        -out "$work/request"
    openssl ca -batch -notext -config "$work/configuration" -startdate 20200101000000Z -enddate 21200101000000Z \
        -in "$work/request" -extfile <(echo "$3") -out "$1.pem" "${@:4}"
}

for name in root another-root; do
    signed "$name" "$name" "basicConstraints=critical,CA:TRUE" -selfsign -keyfile "$work/$name.key"
done
server() { # NAME, HOST, ROOT
    signed "$1" "$2" "subjectAltName=DNS:$2" -cert "$3.pem" -keyfile "$work/$3.key"
    cat "$work/$1.key" >> "$1.pem"
}
server right db.example root
server another-name elsewhere.example root
server unknown db.example another-root
