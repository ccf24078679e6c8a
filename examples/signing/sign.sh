#!/usr/bin/env bash
# Prints a signed command, good for 20 seconds: sign.sh KEY_FILE KEY_ID BRIDGE LOCK ACTION
set -euo pipefail
file=$1 key=$2 bridge=$3 lock=$4 action=$5
custom_id=$(openssl rand -hex 16)
expires_at=$(date -u -d '20 seconds' +%Y-%m-%dT%H:%M:%SZ)
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
printf '%s\n' lock-bridge-command-v1 "$key" "$bridge" "$lock" "$action" "$custom_id" "$expires_at" > "$lines"
signature=$(openssl pkeyutl -sign -rawin -inkey "$file" -in "$lines" | base64 -w 0)
printf '{"action": "%s", "custom_id": "%s", "expires_at": "%s", "signature": "%s:%s"}\n' \
  "$action" "$custom_id" "$expires_at" "$key" "$signature"
