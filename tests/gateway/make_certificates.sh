#!/bin/sh
# Makes two authorities, and a certificate of the first one, in a folder. They last two days.
# Usage: make_certificates.sh FOLDER SUBJECT_ALT_NAME
set -eu
cd "$1"
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
for name in ca stranger; do
  # shellcheck disable=SC2086
  openssl req -x509 $key -keyout $name.key -out $name.pem -days 2 -subj /CN=$name
done
# shellcheck disable=SC2086
openssl req $key -keyout key.pem -out request.pem -subj /CN=server
echo "subjectAltName=$2" > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
  -extfile names -out certificate.pem
