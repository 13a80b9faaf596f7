#!/usr/bin/env bash
# Makes an image like those that people ship, as an OCI layout of about 500 MB: Debian with a toolchain, a node_modules
# folder, Python packages, an application, and a file that the next layer deletes. Needs debootstrap, npm, umoci and root.
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

# umoci writes the layers: one command for each step of the build.
rm -rf "$folder/oci"
umoci init --layout "$folder/oci"
umoci new --image "$folder/oci:latest"
step() {
  local source=$1 target=$2 by=$3
  umoci insert --image "$folder/oci:latest" --history.created_by "$by # buildkit" "$source" "$target"
}
application=$parts/application
mkdir -p "$application/src" "$application/config"
printf 'port: 8080\nlog: info\ndatabase:\n  host: db\n' >"$application/config/default.yml"
for number in $(seq 400); do
  printf "export const route%d = (q) => fetch('/api/%d?q=' + encodeURIComponent(q));\n" "$number" "$number" >"$application/src/route$number.js"
done
seq 40000 >"$parts/build.txt"
step "$parts/system" / 'ADD rootfs.tar.xz /'
step "$parts/wheels" /usr/local/lib/python3.11/dist-packages 'RUN /bin/sh -c pip install -r requirements.txt'
step "$parts/scripts/node_modules" /app/node_modules 'RUN /bin/sh -c npm ci'
step "$application" /app 'COPY . .'
step "$parts/build.txt" /app/tmp/build.log 'RUN /bin/sh -c npm run build'
umoci insert --whiteout --image "$folder/oci:latest" --history.created_by 'RUN /bin/sh -c rm tmp/build.log # buildkit' /app/tmp/build.log
umoci config --image "$folder/oci:latest" --config.workingdir /app --config.cmd node --config.cmd src/route1.js --config.env NODE_ENV=production
umoci gc --layout "$folder/oci"
du -sh "$folder/oci"
