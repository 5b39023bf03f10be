#!/usr/bin/env bash
# Removes what install.sh has brought. Data, settings, the secret and the service user stay, unless --purge is given.
set -euo pipefail

readonly opt=/opt/raftkafka units=/usr/local/lib/systemd/system

fail() { echo "uninstall.sh: $1" >&2; exit 1; }
run() { if [[ $dry ]]; then printf '+'; printf ' %q' "$@"; echo; else "$@"; fi; }

dry='' purge=''
while (($#)); do
  case $1 in
    --dry-run) dry=1 ;;
    --purge) purge=1 ;;
    --help | -h) echo "usage: uninstall.sh [--purge] [--dry-run]   --purge also removes /etc/raftkafka, /var/lib/raftkafka and the user"; exit 0 ;;
    *) fail "unknown option $1 (--help lists them)" ;;
  esac
  shift
done
[[ $dry || $(id -u) -eq 0 ]] || fail "must run as root (--dry-run shows what it would do)"

enabled=(raftkafka.target)
for link in /etc/systemd/system/raftkafka.target.wants/raftkafka@*.service; do
  [[ ! -L $link ]] || enabled+=("${link##*/}")
done
if [[ -e $units/raftkafka.target ]]; then
  # A clean stop: leaderships move, logs are synced.
  [[ ! -d /run/systemd/system ]] || run systemctl stop raftkafka.target 'raftkafka@*.service'
  run systemctl disable --quiet "${enabled[@]}"
fi
run rm -rf "$opt" "$units/raftkafka@.service.d/10-restart-steps.conf"
run rm -f "$units/raftkafka@.service" "$units/raftkafka.target" /usr/lib/tmpfiles.d/raftkafka.conf /usr/lib/sysusers.d/raftkafka.conf
[[ ! -d $units/raftkafka@.service.d ]] || run rmdir --ignore-fail-on-non-empty "$units/raftkafka@.service.d"
[[ $(readlink /usr/local/bin/rk || true) != "$opt/bin/rk" ]] || run rm -f /usr/local/bin/rk
if [[ -d /run/systemd/system ]]; then
  run systemctl daemon-reload
  run systemctl reset-failed 'raftkafka@*.service' || true
fi
if [[ $purge ]]; then
  run rm -rf /etc/raftkafka /var/lib/raftkafka
  ! getent passwd raftkafka >/dev/null || run userdel raftkafka
  echo "done, nothing is left"
else
  echo "done. Kept: /etc/raftkafka, /var/lib/raftkafka, the user raftkafka (uninstall.sh --purge removes them)"
fi
