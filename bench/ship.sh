#!/usr/bin/env bash
# Measures `honeycrate ship` beside `skopeo copy` of the same image to the same kind of registry, and beside the least
# that a scan can do: inflating and hashing every layer. Runs take turns; the table holds medians.
# usage: ship.sh LAYOUT [ROUNDS] [PROGRAM]     LAYOUT as bench/image.sh makes it; needs docker-registry, skopeo, jq, tar, time
set -euo pipefail
layout=$(realpath "${1:?usage: ship.sh LAYOUT [ROUNDS] [PROGRAM]}")
rounds=${2:-5}
program=$(realpath "${3:-$(dirname "${BASH_SOURCE[0]}")/../target/$(rustc -vV | sed -n 's/^host: //p')/release/honeycrate}")
[ -x "$program" ] || { echo "ship.sh: $program is not there; run cargo build --release" >&2; exit 1; }

work=$(mktemp -d)
registry=
stop() {
  if [ -n "$registry" ]; then
    kill "$registry" 2>/dev/null || true
    wait "$registry" 2>/dev/null || true
    registry=
  fi
}
trap 'stop; rm -rf "$work"' EXIT

# A registry that has never seen the image, and a home that has neither.
fresh() {
  stop
  rm -rf "${work:?}/registry" "${work:?}/home"
  mkdir -p "$work/registry" "$work/home"
  cat >"$work/registry/config.yml" <<YAML
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry/storage}}
http: {addr: "127.0.0.1:0", relativeurls: true}
YAML
  docker-registry serve "$work/registry/config.yml" >"$work/registry/log" 2>&1 &
  registry=$!
  local tries=0
  until host=localhost:$(grep -om1 'listening on 127.0.0.1:[0-9]*' "$work/registry/log" | cut -d: -f2) && [ "$host" != localhost: ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$work/registry/log" >&2; exit 1; }
    sleep 0.1
  done
  HOME=$work/home "$program" key new >/dev/null
}

# Appends a run's seconds, CPU seconds and peak memory to the list of its name.
measure() {
  local name=$1
  shift
  sync
  env -i PATH="$PATH" HOME="$work/home" /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >"$work/said" 2>&1 ||
    { echo "ship.sh: $name failed" >&2; cat "$work/said" >&2; exit 1; }
  tail -n 1 "$work/time" >>"$work/$name"
}

skopeo_copy() {
  measure "$1" skopeo --insecure-policy copy --quiet --all --dest-tls-verify=false "oci:$layout:latest" "docker://$host/acme/shop:1"
}

# The image with one file more in its last layer, as a rebuild leaves it.
rebuild() {
  local blobs=$work/changed/blobs/sha256 old manifest config layer diff size config_size
  cp -al "$layout" "$work/changed" 2>/dev/null || { rm -rf "$work/changed"; cp -a "$layout" "$work/changed"; }
  put() { local digest; digest=$(sha256sum <"$1" | cut -d' ' -f1); mv "$1" "$blobs/$digest"; echo "$digest"; }
  old=$(jq -r '.manifests[0].digest[7:]' "$layout/index.json")
  manifest=$blobs/$old
  gzip -dc "$blobs/$(jq -r '.layers[-1].digest[7:]' "$manifest")" >"$work/layer.tar"
  date >"$work/built"
  tar -C "$work" -rf "$work/layer.tar" built
  diff=$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)
  gzip -f "$work/layer.tar"
  size=$(stat -c %s "$work/layer.tar.gz")
  layer=$(put "$work/layer.tar.gz")
  jq -c --arg diff "sha256:$diff" '.rootfs.diff_ids[-1] = $diff' "$blobs/$(jq -r '.config.digest[7:]' "$manifest")" >"$work/config"
  config_size=$(stat -c %s "$work/config")
  config=$(put "$work/config")
  jq -c --arg layer "sha256:$layer" --argjson size "$size" --arg config "sha256:$config" --argjson config_size "$config_size" \
    '.layers[-1].digest = $layer | .layers[-1].size = $size | .config.digest = $config | .config.size = $config_size' "$manifest" >"$work/manifest"
  size=$(stat -c %s "$work/manifest")
  manifest=$(put "$work/manifest")
  rm "$work/changed/index.json"
  jq --arg digest "sha256:$manifest" --argjson size "$size" '.manifests[0].digest = $digest | .manifests[0].size = $size' \
    "$layout/index.json" >"$work/changed/index.json"
}

honeycrate_ship() {
  measure "$1" "$program" ship "oci:${2:-$layout}:latest" --to "$host/acme/shop:1" --plain-http "$host" \
    --env production --decoy https://decoy.example.com
}

floor() {
  # shellcheck disable=SC2016
  measure floor bash -c '
    jq -r ".layers[].digest" "$0/blobs/sha256/$(jq -r ".manifests[0].digest[7:]" "$0/index.json")" | cut -d: -f2 |
      while read -r layer; do gzip -dc "$0/blobs/sha256/$layer"; done | sha256sum' "$layout"
}

rebuild
cat "$layout"/blobs/sha256/* >/dev/null # every round reads from memory
for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  order=(skopeo_copy honeycrate_ship)
  [ $((round % 2)) -eq 1 ] || order=(honeycrate_ship skopeo_copy)
  for who in "${order[@]}"; do
    fresh
    "$who" "${who%_*}-cold"
    "$who" "${who%_*}-warm"
    [ "$who" = skopeo_copy ] || honeycrate_ship honeycrate-rebuilt "$work/changed"
  done
  floor
done
stop

median() {
  sort -n | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}
row() {
  local name=$1 label=$2
  printf '| %-44s | %7.2f | %7.2f | %8.0f |\n' "$label" "$(awk '{ print $1 }' "$work/$name" | median)" \
    "$(awk '{ print $2 + $3 }' "$work/$name" | median)" "$(awk '{ print $4 / 1024 }' "$work/$name" | median)"
}
size=$(du -sm "$layout/blobs" | cut -f1)
printf '\n%d MB in blobs, %d rounds, %d cores, %s\n\n' "$size" "$rounds" "$(nproc)" "$("$program" --version)"
printf '| %-44s | %7s | %7s | %8s |\n|%s|%s|%s|%s|\n' medians 'wall s' 'CPU s' 'peak MiB' \
  "$(printf -- '-%.0s' {1..46})" "$(printf -- '-%.0s' {1..9})" "$(printf -- '-%.0s' {1..9})" "$(printf -- '-%.0s' {1..10})"
row honeycrate-cold 'honeycrate ship, empty registry'
row skopeo-cold 'skopeo copy, empty registry'
row honeycrate-warm 'honeycrate ship, the same again'
row honeycrate-rebuilt 'honeycrate ship, another last layer'
row skopeo-warm 'skopeo copy, the same again'
row floor 'gzip -dc | sha256sum of the layers'
