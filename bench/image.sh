#!/usr/bin/env bash
# Makes an image like those that people ship, as an OCI layout of about 500 MB: Debian with a toolchain, a node_modules
# folder, Python packages, an application, and a file that the next layer deletes. Needs debootstrap, npm, jq and root.
# usage: image.sh FOLDER      the layout is FOLDER/oci, tag `latest`; what was downloaded stays in FOLDER/parts
set -euo pipefail
folder=$(realpath -m "${1:?usage: image.sh FOLDER}")
parts=$folder/parts
mkdir -p "$parts"

# Does a part once: its folder appears under its own name only when it is whole.
part() {
  local name=$1
  shift
  [ -d "$parts/$name" ] && return
  rm -rf "$parts/$name.new"
  mkdir "$parts/$name.new"
  "$@" "$parts/$name.new" >"$parts/$name.log" 2>&1
  mv "$parts/$name.new" "$parts/$name"
}

system() {
  debootstrap --variant=minbase \
    --include=ca-certificates,build-essential,python3,perl,ruby,nodejs,git,curl,openssl,gnupg,locales bookworm "$1"
  rm -rf "${1:?}"/var/cache/apt/archives/*.deb "${1:?}"/var/lib/apt/lists/* "${1:?}"/dev/*
}

scripts() {
  cd "$1"
  echo '{"name":"shop","private":true}' >package.json
  npm install --ignore-scripts --no-audit --no-fund --legacy-peer-deps --loglevel=error \
    next@14 react@18 react-dom@18 @mui/material@5 antd@5 typescript@5 webpack@5 eslint@8 jest@29 @babel/preset-env \
    aws-sdk@2 firebase@10 express mongoose lodash date-fns three rxjs stripe twilio
}

wheels() {
  python3 -m pip install -q --no-compile --only-binary=:all: --target "$1" \
    numpy pandas matplotlib sympy django sqlalchemy jupyterlab boto3 cryptography pillow lxml
}

part system system
part scripts scripts
part wheels wheels

# Puts a file into the layout under its digest, and prints its descriptor.
blob() {
  local file=$1 type=$2 digest
  digest=$(sha256sum "$file" | cut -d' ' -f1)
  jq -nc --arg type "$type" --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$file")" \
    '{mediaType: $type, digest: $digest, size: $size}'
  mv "$file" "$layout/blobs/sha256/$digest"
}

# One step of the build: a folder becomes a layer below a path of the image.
step() {
  local source=$1 target=$2 by=$3
  find "$source/" -mindepth 1 -printf '%P\0' | sort -z |
    tar -C "$source" --no-recursion --null -T - --mtime=@1760000000 --numeric-owner --owner=0 --group=0 \
      --transform "flags=rhS;s,^,$target," -cf "$work/layer"
  echo "\"sha256:$(sha256sum "$work/layer" | cut -d' ' -f1)\"" >>"$work/diffs"
  gzip -n "$work/layer"
  blob "$work/layer.gz" application/vnd.oci.image.layer.v1.tar+gzip >>"$work/layers"
  jq -nc --arg by "$by # buildkit" '{created: "2025-10-09T08:53:20Z", created_by: $by, comment: "buildkit.dockerfile.v0"}' >>"$work/history"
}

layout=$folder/oci
work=$(mktemp -d -p "$folder")
trap 'rm -rf "$work"' EXIT
rm -rf "$layout"
mkdir -p "$layout/blobs/sha256" "$work"/{application/src,application/config,log,whiteout}
printf 'port: 8080\nlog: info\ndatabase:\n  host: db\n' >"$work/application/config/default.yml"
for number in $(seq 400); do
  printf "export const route%d = (q) => fetch('/api/%d?q=' + encodeURIComponent(q));\n" "$number" "$number" >"$work/application/src/route$number.js"
done
seq 40000 >"$work/log/build.log"
touch "$work/whiteout/.wh.build.log"
step "$parts/system" '' 'ADD rootfs.tar.xz /'
step "$parts/wheels" usr/local/lib/python3.11/dist-packages/ 'RUN /bin/sh -c pip install -r requirements.txt'
step "$parts/scripts/node_modules" app/node_modules/ 'RUN /bin/sh -c npm ci'
step "$work/application" app/ 'COPY . .'
step "$work/log" app/tmp/ 'RUN /bin/sh -c npm run build'
step "$work/whiteout" app/tmp/ 'RUN /bin/sh -c rm tmp/build.log'

jq -nc --slurpfile diffs "$work/diffs" --slurpfile history "$work/history" '{
  architecture: "amd64", os: "linux", created: "2025-10-09T08:53:20Z",
  config: {Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NODE_ENV=production"],
           Cmd: ["node", "src/route1.js"], WorkingDir: "/app"},
  rootfs: {type: "layers", diff_ids: $diffs}, history: $history}' >"$work/config"
config=$(blob "$work/config" application/vnd.oci.image.config.v1+json)
type=application/vnd.oci.image.manifest.v1+json
jq -nc --arg type "$type" --argjson config "$config" --slurpfile layers "$work/layers" \
  '{schemaVersion: 2, mediaType: $type, config: $config, layers: $layers}' >"$work/manifest"
manifest=$(blob "$work/manifest" "$type")
jq -nc --argjson manifest "$manifest" \
  '{schemaVersion: 2, manifests: [$manifest + {annotations: {"org.opencontainers.image.ref.name": "latest"}}]}' >"$layout/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
du -sh "$layout"
