#!/usr/bin/env bash
# What a scan says of trees that hold no secret of anybody's: packages of Debian, npm, PyPI, Go, Java and Rust as they are published.
# Prints the findings of each base by severity, and those above low one by one. Needs apt, dpkg, debootstrap, npm, pip, go, cargo, unzip, jq and
# the network.
# usage: noise.sh FOLDER [HONEYCRATE [SCAN-OPTION...]]
#   The bases stay in FOLDER, about 5 GB, and are made once; a base that cannot be made is named and left out.
#   HONEYCRATE: the program, target/release/honeycrate if not given; the options go to `honeycrate scan`, `--rules FILE` for example.
set -euo pipefail
folder=$(realpath -m "${1:?usage: noise.sh FOLDER [HONEYCRATE [SCAN-OPTION...]]}")
program=$(realpath "${2:-target/release/honeycrate}")
options=("${@:3}")
mkdir -p "$folder"

# Debian packages, unpacked: servers, languages and their libraries, with documentation.
debian() {
  cd "$1"
  local package
  # One by one: what a release does not have is no matter here.
  for package in nginx-common nginx-core apache2-bin apache2-data postgresql-15 postgresql-client-15 mariadb-server-core mariadb-common \
    redis-tools php8.2-common php8.2-cli php8.2-fpm wordpress phpmyadmin roundcube-core libphp-phpmailer php-symfony-http-foundation \
    composer ruby3.1 libruby3.1 ruby-rails ruby-devise ruby-net-ssh ruby-jwt ruby-omniauth ruby-mail python3-django python3-flask \
    python3-cryptography python3-paramiko python3-twisted python3-boto3 python3-botocore python3-keystone python3-keystoneclient ansible-core \
    libssl3 openssl openssh-server openssh-client libgnutls30 gnutls-bin gnupg gpg gpg-agent libgcrypt20 libnss3 curl libcurl4 git git-doc \
    perl-modules-5.36 libwww-perl libcrypt-openssl-rsa-perl libmojolicious-perl krb5-user slapd ldap-utils samba-common-bin bind9-utils \
    exim4-base postfix dovecot-core mutt msmtp openvpn wireguard-tools strongswan-libcharon network-manager wpasupplicant hostapd \
    nodejs libnode108 node-jsonwebtoken node-webpack golang-1.19-src rustc libstd-rust-dev erlang-ssl erlang-public-key rabbitmq-server \
    tomcat10 libtomcat10-java libspring-web-java libbcprov-java libjwt-java maven gradle ant jetty9 vim-runtime emacs-common systemd udev \
    snmp freeradius freeradius-config prosody coturn haproxy squid-common prometheus grub-common doc-debian; do
    apt-get download -q "$package" || echo "not had: $package"
  done
  for package in *.deb; do dpkg -x "$package" . && rm "$package"; done
}

debian_root() {
  debootstrap --variant=minbase --include=ca-certificates,build-essential,python3,perl,ruby,nodejs,git,curl,openssl,gnupg,locales bookworm "$1"
  umount "$1/proc" "$1/sys" 2>/dev/null
  rm -rf "${1:?}"/dev/*
}

node() {
  cd "$1"
  echo '{"name":"app","private":true}' >package.json
  npm install --ignore-scripts --no-audit --no-fund --legacy-peer-deps --loglevel=error \
    express fastify next react vue @angular/core webpack vite eslint jest mocha typescript aws-sdk @aws-sdk/client-s3 firebase@10 firebase-admin \
    @google-cloud/storage @azure/identity stripe twilio @slack/bolt @octokit/rest octokit jsonwebtoken jose passport passport-jwt node-forge ssh2 \
    openpgp bcrypt mongoose mongodb pg mysql2 sequelize typeorm prisma ioredis amqplib nodemailer @sendgrid/mail mailgun.js googleapis \
    openai @anthropic-ai/sdk langchain discord.js telegraf dotenv config axios got request undici puppeteer-core serverless crypto-js elliptic \
    @sentry/node newrelic dd-trace algoliasearch contentful @supabase/supabase-js @notionhq/client graphql apollo-server socket.io ws
}

python() {
  python3 -m pip install -q --no-compile --target "$1/usr/lib/python3/dist-packages" \
    django flask fastapi cryptography paramiko pyjwt authlib boto3 moto google-cloud-storage google-auth azure-identity azure-storage-blob \
    stripe twilio openai anthropic sqlalchemy ansible-core celery jupyterlab pandas scikit-learn sentry-sdk tornado scrapy \
    requests aiohttp httpx twisted asyncssh ldap3 pymongo redis kubernetes docker hvac sendgrid slack-sdk discord.py \
    tweepy pygithub python-gitlab huggingface-hub oauthlib requests-oauthlib
}

# Sources of Go modules, with their tests.
golang() {
  cd "$1"
  mkdir module
  cd module
  go mod init example.org/app
  # One by one: modules that do not agree on a dependency are no matter here.
  local module
  for module in github.com/aws/aws-sdk-go github.com/gin-gonic/gin github.com/golang-jwt/jwt/v5 github.com/go-jose/go-jose/v4 golang.org/x/crypto \
    golang.org/x/oauth2 google.golang.org/api k8s.io/client-go k8s.io/kubernetes github.com/hashicorp/vault/api github.com/hashicorp/vault \
    github.com/docker/docker github.com/moby/buildkit github.com/prometheus/prometheus github.com/traefik/traefik/v3 github.com/go-git/go-git/v5 \
    github.com/ory/fosite github.com/lib/pq github.com/go-sql-driver/mysql github.com/minio/minio-go/v7 github.com/google/go-github/v60 \
    github.com/slack-go/slack github.com/stripe/stripe-go/v76 github.com/sigstore/cosign/v2 github.com/containerd/containerd \
    github.com/kubernetes-sigs/aws-iam-authenticator github.com/cloudflare/cloudflare-go github.com/Azure/azure-sdk-for-go/sdk/azidentity; do
    GOMODCACHE=$1/go/pkg/mod GOFLAGS=-modcacherw go mod download -json "$module@latest" >/dev/null || echo "not had: $module"
  done
  rm -rf "$1/go/pkg/mod/cache" "$1/module"
}

# The JDK, and libraries from Maven's own repository with their sources, unpacked.
java() {
  cd "$1"
  apt-get download -q openjdk-17-jre-headless openjdk-17-jdk-headless || true
  for package in *.deb; do dpkg -x "$package" . && rm "$package"; done
  local central=https://repo1.maven.org/maven2 m2=root/.m2/repository path name
  for path in org/springframework/spring-core/6.1.6 org/springframework/boot/spring-boot/3.2.5 org/springframework/boot/spring-boot-autoconfigure/3.2.5 \
    org/springframework/security/spring-security-core/6.2.4 org/bouncycastle/bcprov-jdk18on/1.78.1 org/apache/tomcat/embed/tomcat-embed-core/10.1.20 \
    io/netty/netty-handler/4.1.109.Final com/google/guava/guava/33.1.0-jre com/auth0/java-jwt/4.4.0 io/jsonwebtoken/jjwt-impl/0.12.5 \
    com/nimbusds/nimbus-jose-jwt/9.37.3 org/postgresql/postgresql/42.7.3 com/mysql/mysql-connector-j/8.3.0 org/hibernate/orm/hibernate-core/6.4.4.Final \
    org/apache/kafka/kafka-clients/3.7.0 org/apache/logging/log4j/log4j-core/2.23.1 com/amazonaws/aws-java-sdk-core/1.12.700 software/amazon/awssdk/auth/2.25.40 \
    com/google/auth/google-auth-library-oauth2-http/1.23.0 com/azure/azure-identity/1.12.0 org/apache/hadoop/hadoop-common/3.4.0 \
    org/keycloak/keycloak-core/24.0.3 org/eclipse/jetty/jetty-server/12.0.8; do
    name=$(basename "$(dirname "$path")")-$(basename "$path")
    for kind in .jar -sources.jar; do
      mkdir -p "$m2/$name$kind"
      curl -sf --max-time 60 "$central/$path/$name$kind" -o part.zip && unzip -qo part.zip -d "$m2/$name$kind" || echo "not had: $name$kind"
    done
  done
  rm -f part.zip
}

# Rust crates as cargo has them.
rust() {
  cd "$1"
  cargo init -q --name app app
  if cd app; then cargo add -q tokio reqwest hyper axum actix-web sqlx diesel rustls openssl ring jsonwebtoken aws-sdk-s3 octocrab serde_json clap russh 2>&1 || true; cd ..; fi
  CARGO_HOME=$1/.cargo cargo fetch -q --manifest-path app/Cargo.toml || true
  rm -rf "$1"/.cargo/registry/{cache,index}
}

made=()
for base in debian debian_root node python golang java rust; do
  if [ ! -d "$folder/$base" ]; then
    echo "making $base" >&2
    rm -rf "$folder/$base.new"
    mkdir "$folder/$base.new"
    (set +e; "$base" "$folder/$base.new") >"$folder/$base.log" 2>&1 || true
    mv "$folder/$base.new" "$folder/$base"
  fi
  if [ -n "$(ls -A "$folder/$base")" ]; then made+=("$base"); else echo "$base could not be made: see $folder/$base.log" >&2; fi
done

for base in "${made[@]}"; do
  report=$folder/$base.json
  "$program" scan --quiet --fail-on none ${options[@]+"${options[@]}"} --report "$report" "$folder/$base" >/dev/null
  printf '%-12s %8s files, %6s MB: ' "$base" "$(find "$folder/$base" -xdev -type f | wc -l)" "$(du -xsm "$folder/$base" | cut -f1)"
  jq -r '[.findings[].severity] | [("critical", "high", "medium", "low") as $s | "\(map(select(. == $s)) | length) \($s)"] | join(", ")' "$report"
  jq -r '.findings[] | select(.severity != "low") | "  \(.severity)/\(.confidence) \(.rule) \(.fingerprint) \(.path):\(.line) \(.redacted) (and \(.also_in // 0) more)"' "$report"
done
