#!/usr/bin/env bash
# Installs raftkafka for systemd: the program below /opt/raftkafka, units, the service user, directories, sample settings.
# Run it again at any time, and to upgrade: settings, the secret and data are never overwritten. See README.md beside it.
set -euo pipefail
umask 022 # the service user reads what root writes here

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here opt=/opt/raftkafka etc=/etc/raftkafka units=/usr/local/lib/systemd/system

usage() {
  cat <<END
usage: install.sh [--from archive|checkout|registry] [--version X] [--python PATH] [--dry-run]

  --from      where the program comes from: the wheels beside this script, the checkout around it, or pip's registry.
              By default the first of these that is there.
  --version   which version the registry is asked for
  --python    the interpreter to use: 3.11 or newer, with venv (default: the first that fits)
  --dry-run   only print what would be done
END
}

fail() { echo "install.sh: $1" >&2; exit 1; }
say() { echo "$*"; }
run() { if [[ $dry ]]; then printf '+'; printf ' %q' "$@"; echo; else "$@"; fi; }

dry='' from='' version='' python=''
while (($#)); do
  case $1 in
    --dry-run) dry=1 ;;
    --from | --version | --python)
      (($# >= 2)) || fail "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift ;;
    --help | -h) usage; exit 0 ;;
    *) fail "unknown option $1 (--help lists them)" ;;
  esac
  shift
done

[[ $dry || $(id -u) -eq 0 ]] || fail "must run as root (--dry-run shows what it would do)"
for tool in systemctl systemd-sysusers systemd-tmpfiles sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is not installed: this is for machines with systemd"
done

# Where the program comes from, and a name for exactly this program: a version that runs is never changed under it.

if [[ ! $from ]]; then
  if [[ -d $here/wheels ]]; then from=archive; elif [[ -f $here/../pyproject.toml ]]; then from=checkout; else from=registry; fi
fi
case $from in
  archive)
    [[ -d $here/wheels && -f $here/ARCHIVE ]] || fail "--from archive: there are no wheels beside this script"
    (cd "$here" && sha256sum --quiet --strict --check SHA256SUMS) >/dev/null 2>&1 ||
      fail "the archive is damaged: 'sha256sum --check SHA256SUMS' in $here says where"
    version=$(sed -n 's/^version=//p' "$here/ARCHIVE")
    id=$version-$(sha256sum "$here/SHA256SUMS" | cut -c1-8) ;;
  checkout)
    source=$(cd "$here/.." && pwd)
    [[ -f $source/pyproject.toml && -f $source/raftkafka/__init__.py ]] || fail "--from checkout: $source is none"
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$source/raftkafka/__init__.py")
    id=$version-$(cd "$source" && find pyproject.toml setup.py raftkafka -type f ! -name '*.so' ! -name '*.py[cod]' -print0 |
      sort -z | xargs -0 sha256sum | sha256sum | cut -c1-8) ;;
  registry)
    [[ $version ]] || fail "--from registry needs --version"
    [[ $version =~ ^[0-9A-Za-z.+!-]+$ ]] || fail "--version: '$version' is none"
    id=$version ;;
  *) fail "--from: '$from' is none of archive, checkout, registry" ;;
esac

# The interpreter. Units run with ProtectHome=yes: what lies in a home directory (pyenv, uv) is not there for them.

unfit() {
  command -v "$1" >/dev/null || { echo "$1 is not installed"; return; }
  "$1" - 2>/dev/null <<'END' || echo "$1 does not run"
import os, sys
name = sys.executable
seen = [os.path.realpath(name), sys.base_prefix]
if sys.version_info < (3, 11):
    print(f"{name} is Python {sys.version_info[0]}.{sys.version_info[1]}, 3.11 or newer is needed")
elif any(each.startswith(("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")) for each in seen):
    print(f"{name} lies in a directory that services do not see: {seen[0]}")
else:
    try:
        import ensurepip, venv
    except ImportError:
        print(f"{name} cannot make virtual environments: apt install python3-venv")
END
}

candidates=(python3 /usr/bin/python3 python3.13 python3.12 python3.11)
[[ ! $python ]] || candidates=("$python")
first=''
for python in "${candidates[@]}"; do
  problem=$(unfit "$python")
  [[ $problem ]] || break
  first=${first:-$problem}
done
[[ ! $problem ]] || fail "$first"
python=$("$python" -c 'import sys; print(sys.executable)')
if [[ $from == archive ]]; then
  found=$("$python" -c 'import platform, sys; print(f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine()}")')
  built=$(sed -n 's/^python=//p' "$here/ARCHIVE")
  [[ $found == "$built" ]] || fail "this archive is for $built, and $python is $found: use --python, or build one with 'make dist' there"
fi

# The program

place=$opt/versions/$id
if [[ -e $place/.complete ]]; then
  say "raftkafka $id is there already"
else
  say "installing raftkafka $id into $place"
  run rm -rf "$place"
  run mkdir -p "$opt/versions"
  run "$python" -m venv "$place"
  pip=("$place/bin/python" -m pip --disable-pip-version-check --quiet)
  case $from in
    archive) run "${pip[@]}" --isolated install --no-index --find-links "$here/wheels" "raftkafka==$version" ;;
    checkout) run "${pip[@]}" install "$source" ;;
    registry) run "${pip[@]}" install "raftkafka==$version" ;;
  esac || fail "pip could not install raftkafka $version, see above"
  run touch "$place/.complete"
fi
# One rename, so that there is a program at every moment. Nodes that run keep theirs until they are started again.
run ln -sfn "versions/$id/bin" "$opt/bin.new"
run mv -T "$opt/bin.new" "$opt/bin"
run install -D -m 0644 "$here/README.md" "$opt/share/doc/README.md"
if [[ ! -e /usr/local/bin/rk || $(readlink /usr/local/bin/rk) == "$opt/bin/rk" ]]; then
  run mkdir -p /usr/local/bin
  run ln -sfn "$opt/bin/rk" /usr/local/bin/rk
else
  say "/usr/local/bin/rk is something else and stays as it is"
fi

# Units, user, directories

run install -D -m 0644 "$here/sysusers.conf" /usr/lib/sysusers.d/raftkafka.conf
run install -D -m 0644 "$here/tmpfiles.conf" /usr/lib/tmpfiles.d/raftkafka.conf
run install -D -m 0644 "$here/raftkafka@.service" "$units/raftkafka@.service"
run install -D -m 0644 "$here/raftkafka.target" "$units/raftkafka.target"
steps=$units/raftkafka@.service.d/10-restart-steps.conf
if (($(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p') >= 254)); then
  run install -D -m 0644 "$here/restart-steps.conf" "$steps"
else
  run rm -f "$steps" # older ones know no growing delay
fi
run systemd-sysusers raftkafka.conf
run systemd-tmpfiles --create raftkafka.conf

# Settings: only what is missing

for number in 1 2 3; do
  sample=server-$number.properties
  [[ -e $etc/$sample ]] || run install -m 0640 -o root -g raftkafka "$here/$sample" "$etc/$sample"
done
if [[ ! -e $etc/cluster.secret ]]; then
  if [[ $dry ]]; then
    say "+ (write 32 random bytes to $etc/cluster.secret)"
  else
    (umask 077 && "$python" -c 'import secrets; print(secrets.token_hex(32))' >"$etc/cluster.secret.new")
    chgrp raftkafka "$etc/cluster.secret.new"
    chmod 0640 "$etc/cluster.secret.new"
    mv -T "$etc/cluster.secret.new" "$etc/cluster.secret"
  fi
fi

if [[ -d /run/systemd/system ]]; then
  run systemctl daemon-reload
else
  say "systemd does not run here: it reads the units at the next boot"
fi

say "done. Settings: $etc/server-N.properties. The same $etc/cluster.secret has to be on every machine of the cluster."
say "start:   systemctl enable --now raftkafka@1 raftkafka@2 raftkafka@3 raftkafka.target"
say "upgrade: systemctl restart raftkafka@N, one after the other, each when 'rk topic describe' shows full ISRs"
